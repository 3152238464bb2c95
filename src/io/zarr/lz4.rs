//! LZ4 blocks in numcodecs' framing, decoded within a bound.

use super::codec::{Room, reserve};

/// Decoded size as little-endian u32, then one LZ4 block (lz4_Block_format.md, 2022-07-31).
pub fn decode(encoded: &[u8], room: Room) -> Result<Vec<u8>, String> {
    let (size, block) = encoded.split_first_chunk::<4>().ok_or("shorter than its header")?;
    let claimed = u64::from(u32::from_le_bytes(*size));
    let fits = match room {
        Room::Exactly(n) => claimed == n,
        Room::AtMost(n) => claimed <= n,
    };
    if !fits {
        return Err(format!("claims {claimed} decoded bytes, expected {}", room.bytes()));
    }
    let mut decoded = reserve(claimed)?;
    decode_block(block, claimed as usize, &mut decoded)?;
    Ok(decoded)
}

fn decode_block(mut block: &[u8], size: usize, decoded: &mut Vec<u8>) -> Result<(), String> {
    while let Some((&token, rest)) = block.split_first() {
        block = rest;
        let literals = length(token >> 4, &mut block)?;
        let (run, rest) = block.split_at_checked(literals).ok_or("literals run past the end")?;
        block = rest;
        if run.len() > size - decoded.len() {
            return Err(format!("more than the {size} decoded bytes expected"));
        }
        decoded.extend_from_slice(run);
        if block.is_empty() {
            break;
        }
        let (offset, rest) = block.split_first_chunk::<2>().ok_or("an offset is cut")?;
        block = rest;
        let offset = usize::from(u16::from_le_bytes(*offset));
        let matched = length(token & 15, &mut block)?.saturating_add(4);
        repeat(decoded, offset, matched, size)?;
    }
    Ok(())
}

fn length(nibble: u8, block: &mut &[u8]) -> Result<usize, String> {
    let mut length = usize::from(nibble);
    if nibble < 15 {
        return Ok(length);
    }
    loop {
        let (&more, rest) = block.split_first().ok_or("a length is cut")?;
        *block = rest;
        length = length.saturating_add(usize::from(more));
        if more < 255 {
            return Ok(length);
        }
    }
}

fn repeat(decoded: &mut Vec<u8>, offset: usize, length: usize, size: usize) -> Result<(), String> {
    if offset == 0 || offset > decoded.len() {
        return Err(format!("a match reaches {offset} bytes back, {} are there", decoded.len()));
    }
    if length > size - decoded.len() {
        return Err(format!("more than the {size} decoded bytes expected"));
    }
    // A match may overlap what it makes; each round copies what is there already.
    let (start, mut left) = (decoded.len() - offset, length);
    while left > 0 {
        let run = left.min(decoded.len() - start);
        decoded.extend_from_within(start..start + run);
        left -= run;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_matches_and_overlaps() {
        // "abcd", a match of 8 at distance 4, then the literal "e".
        let stored = [13, 0, 0, 0, 0x44, b'a', b'b', b'c', b'd', 4, 0, 0x10, b'e'];
        assert_eq!(decode(&stored, Room::Exactly(13)).unwrap(), b"abcdabcdabcde");
        assert!(decode(&stored, Room::Exactly(12)).is_err());
        // A run: "x", then 19 more of it through an extended length.
        let run = [20, 0, 0, 0, 0x1f, b'x', 1, 0, 0];
        assert_eq!(decode(&run, Room::AtMost(20)).unwrap(), vec![b'x'; 20]);
    }

    #[test]
    fn damage_is_an_error_and_never_more_than_the_room() {
        let stored = [13u8, 0, 0, 0, 0x44, b'a', b'b', b'c', b'd', 4, 0, 0x10, b'e'];
        for bit in 0..stored.len() * 8 {
            let mut bad = stored;
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok(decoded) = decode(&bad, Room::Exactly(13)) {
                assert!(decoded.len() <= 13);
            }
        }
        assert!(decode(&[13, 0], Room::Exactly(13)).is_err());
        assert!(decode(&[1, 0, 0, 0, 0xf0, 255, 255], Room::Exactly(1)).is_err());
        assert!(decode(&[4, 0, 0, 0, 0x00, 0, 0], Room::Exactly(4)).is_err());
    }
}
