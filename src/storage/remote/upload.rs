//! Local files to objects, part by part.

use std::{fs::File, io::ErrorKind, os::unix::fs::FileExt, path::Path};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{
    ObjectStoreExt, PutPayload,
    multipart::{MultipartStore, PartId},
};

use super::{Bucket, PARTS_IN_FLIGHT};
use crate::storage::{StoreError, reserve};

/// Bytes of one part; all but the last have the same size.
pub(super) const PART_BYTES: u64 = 8 << 20;
/// Parts that an object may have (S3; Azure has 50 000).
const MOST_PARTS: u64 = 10_000;

impl Bucket {
    /// Sets `key` to what `file` holds.
    pub(super) fn upload(&self, key: &object_store::path::Path, file: &Path) -> Result<(), StoreError> {
        let file = File::open(file)?;
        let len = file.metadata()?.len();
        self.block_on(async {
            match &self.parts {
                Some(store) if len > PART_BYTES => self.upload_parts(store.as_ref(), key, &file, len).await,
                _ if len > PART_BYTES => Err(StoreError::Unsupported("there are no uploads in parts".into())),
                _ => self.upload_whole(key, &file, len).await,
            }
        })
    }

    async fn upload_whole(&self, key: &object_store::path::Path, file: &File, len: u64) -> Result<(), StoreError> {
        let _buffer = self.part_buffers.acquire().await;
        let payload = part(file, 0, len)?;
        self.tried(len.max(1), || async { Ok(self.objects.put(key, payload.clone()).await.map(drop)?) }).await
    }

    async fn upload_parts(
        &self,
        store: &dyn MultipartStore,
        key: &object_store::path::Path,
        file: &File,
        len: u64,
    ) -> Result<(), StoreError> {
        let count = len.div_ceil(PART_BYTES);
        if count > MOST_PARTS {
            let most = MOST_PARTS * PART_BYTES;
            return Err(StoreError::Unsupported(format!("{len} bytes are more than one upload can have ({most})")));
        }
        let id = self.tried(1, || async { Ok(store.create_multipart(key).await?) }).await?;
        let sent = stream::iter(0..count)
            .map(|n| {
                let id = &id;
                async move {
                    let _buffer = self.part_buffers.acquire().await;
                    let len = PART_BYTES.min(len - n * PART_BYTES);
                    let payload = part(file, n * PART_BYTES, len)?;
                    let send = || async { Ok(store.put_part(key, id, n as usize, payload.clone()).await?) };
                    self.tried(len, send).await
                }
            })
            .buffered(PARTS_IN_FLIGHT)
            .try_collect::<Vec<PartId>>()
            .await;
        let outcome = match sent {
            Ok(parts) => self.complete(store, key, &id, parts, len).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // The upload's own error is what is told.
            let _ = self.patience.upload(1, store.abort_multipart(key, &id)).await;
        }
        outcome
    }

    /// Puts the parts together. When the answer to a success was lost, the upload is gone on the next try, and the object there.
    async fn complete(
        &self,
        store: &dyn MultipartStore,
        key: &object_store::path::Path,
        id: &String,
        parts: Vec<PartId>,
        len: u64,
    ) -> Result<(), StoreError> {
        // The store puts a large object together before it answers.
        let patience_bytes = len.max(1);
        let complete = || async { Ok(store.complete_multipart(key, id, parts.clone()).await.map(drop)?) };
        let error = match self.tried(patience_bytes, complete).await {
            Err(StoreError::Io(e)) if e.kind() == ErrorKind::NotFound => StoreError::Io(e),
            other => return other,
        };
        let head = self.tried(1, || async { Ok(self.objects.head(key).await?.size) }).await;
        if head.is_ok_and(|size| size == len) { Ok(()) } else { Err(error) }
    }
}

fn part(file: &File, offset: u64, len: u64) -> Result<PutPayload, StoreError> {
    let mut bytes = reserve(len)?;
    bytes.resize(len as usize, 0);
    file.read_exact_at(&mut bytes, offset)?;
    Ok(PutPayload::from(bytes))
}
