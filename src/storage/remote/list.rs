//! Lists of keys, page by page: each page is a request of its own, and a list that does not end is an error.

use std::ops::ControlFlow;

use futures_util::{StreamExt, stream};
use object_store::{ObjectMeta, list::PaginatedListOptions, list::PaginatedListResult, path::Path};

use super::{Bucket, failure::Failure};
use crate::storage::StoreError;

/// Pages without a key that are put up with, one after another: services skip what was deleted so.
const MOST_EMPTY_PAGES: u32 = 1000;

/// How far a list has come.
struct Listing<'a> {
    top: &'a Path,
    token: Option<String>,
    pages: u64,
    empty_pages: u32,
    /// The first key of an earlier page, of ever later ones: a list that goes in circles comes by it again (Brent 1980).
    mark: Option<Path>,
}

impl<'a> Listing<'a> {
    fn new(top: &'a Path) -> Listing<'a> {
        Listing { top, token: None, pages: 0, empty_pages: 0, mark: None }
    }

    async fn page(&self, bucket: &Bucket) -> Result<PaginatedListResult, Failure> {
        let Some(pages) = &bucket.pages else {
            return Err(StoreError::Unsupported("there is no list of keys".into()).into());
        };
        let prefix = format!("{}/", self.top);
        let prefix = (prefix != "/").then_some(prefix);
        let options = PaginatedListOptions { page_token: self.token.clone(), ..PaginatedListOptions::default() };
        let mut page = bucket.patience.progress(pages.list_paginated(prefix.as_deref(), options)).await??;
        let prefix = prefix.unwrap_or_default();
        // Web consoles put a key with nothing behind the prefix in place of a folder.
        page.result.objects.retain(|object| object.location != *self.top);
        match page.result.objects.iter().find(|object| !object.location.as_ref().starts_with(&prefix)) {
            Some(object) => Err(failed(format!("the list has '{}', which is not below '{prefix}'", object.location))),
            None => Ok(page),
        }
    }

    /// Goes on to the next page; whether there is one.
    fn turn(&mut self, first: Option<Path>, token: Option<String>) -> Result<bool, StoreError> {
        let endless = |what: String| Err(StoreError::Remote { what, attempts: 1, seconds: 0.0 });
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(false) };
        if self.token.as_ref() == Some(&token) {
            return endless(format!("the list does not end: page {} goes on to itself", self.pages + 1));
        }
        self.token = Some(token);
        self.pages += 1;
        let Some(first) = first else {
            self.empty_pages += 1;
            return match self.empty_pages {
                ..MOST_EMPTY_PAGES => Ok(true),
                pages => endless(format!("the list does not end: {pages} pages without a key")),
            };
        };
        self.empty_pages = 0;
        if self.mark.as_ref() == Some(&first) {
            return endless(format!("the list does not end: '{first}' comes again after {} pages", self.pages));
        }
        if self.pages.is_power_of_two() {
            self.mark = Some(first);
        }
        Ok(true)
    }
}

fn failed(what: String) -> Failure {
    Failure::Final(StoreError::Remote { what, attempts: 1, seconds: 0.0 })
}

fn first(objects: &[ObjectMeta]) -> Option<Path> {
    objects.first().map(|object| object.location.clone())
}

impl Bucket {
    /// Visits what lies below `top` until `visit` breaks off.
    ///
    /// # Errors
    ///
    /// Those of the requests; a list that does not end, and one of other keys than were asked for.
    pub(super) fn list(
        &self,
        top: &Path,
        visit: &mut dyn FnMut(&Path, u64) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut listing = Listing::new(top);
        loop {
            let page = self.ask(0, || listing.page(self))?;
            let objects = page.result.objects;
            if objects.iter().any(|object| visit(&object.location, object.size).is_break()) {
                return Ok(());
            }
            if !listing.turn(first(&objects), page.page_token)? {
                return Ok(());
            }
        }
    }

    /// Removes everything below `top`, a page at a time; another try begins with what is left of the page.
    pub(super) fn clear(&self, top: &Path) -> Result<(), StoreError> {
        let mut listing = Listing::new(top);
        loop {
            let (first, token) = self.ask(0, || async {
                let page = listing.page(self).await?;
                let first = first(&page.result.objects);
                let keys = page.result.objects.into_iter().map(|object| Ok(object.location));
                let mut deleted = self.objects.delete_stream(stream::iter(keys).boxed());
                while let Some(key) = self.patience.progress(deleted.next()).await? {
                    match key {
                        Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok((first, page.page_token))
            })?;
            if !listing.turn(first, token)? {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many pages a list is given up; `None` where it ends by itself.
    fn given_up(mut page: impl FnMut(u64) -> (Option<String>, Option<String>)) -> Option<u64> {
        let top = Path::from("a");
        let mut listing = Listing::new(&top);
        for n in 0..10_000 {
            let (key, token) = page(n);
            match listing.turn(key.map(Path::from), token) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => return Some(n),
            }
        }
        panic!("no end");
    }

    #[test]
    fn lists_without_end_are_given_up() {
        let text = |n: u64| Some(n.to_string());
        assert_eq!(given_up(|n| (text(n), (n < 5000).then(|| n.to_string()))), None);
        assert_eq!(given_up(|n| (text(n), (n < 3).then_some(String::new()))), None);
        assert_eq!(given_up(|n| (text(n), Some("again".into()))), Some(1));
        // Tokens that are always new, and pages that come again or are empty.
        assert!(given_up(|n| (text(n % 7), text(n))).is_some_and(|pages| pages < 30));
        assert!(given_up(|n| (text(0), text(n))).is_some_and(|pages| pages < 4));
        assert_eq!(given_up(|n| (None, text(n))), Some(u64::from(MOST_EMPTY_PAGES) - 1));
        assert_eq!(given_up(|n| ((n % 500 == 0).then(|| n.to_string()), (n < 5000).then(|| n.to_string()))), None);
    }
}
