use std::io::Cursor;

use super::*;

const EXPLICIT: Coding = Coding { explicit: true, big_endian: false };
const IMPLICIT: Coding = Coding { explicit: false, big_endian: false };
const BIG: Coding = Coding { explicit: true, big_endian: true };
const SHARED: Tag = 0x5200_9229;

/// What a walk told.
#[derive(Debug, Default, PartialEq)]
struct Told {
    values: Vec<(Tag, Vec<u8>)>,
    items: usize,
    left: usize,
}

impl Visit for Told {
    fn wants(&self, tag: Tag) -> bool {
        tag >> 16 == 0x0028
    }
    fn value(&mut self, tag: Tag, value: Value<'_>) {
        self.values.push((tag, value.bytes.to_vec()));
    }
    fn enters(&mut self, tag: Tag) -> bool {
        tag == SHARED
    }
    fn item(&mut self, _tag: Tag) {
        self.items += 1;
    }
    fn leave(&mut self, _tag: Tag) {
        self.left += 1;
    }
}

fn walked(bytes: &[u8], coding: Coding) -> (Result<Option<Pixels>, Fault>, Told) {
    let mut told = Told::default();
    let found = Walk::new(Cursor::new(bytes), coding, &mut told).data_set(None);
    (found, told)
}

fn put16(coding: Coding, n: u16) -> [u8; 2] {
    if coding.big_endian { n.to_be_bytes() } else { n.to_le_bytes() }
}

fn put32(coding: Coding, n: u32) -> [u8; 4] {
    if coding.big_endian { n.to_be_bytes() } else { n.to_le_bytes() }
}

fn tag(coding: Coding, tag: Tag) -> Vec<u8> {
    [put16(coding, (tag >> 16) as u16), put16(coding, tag as u16)].concat()
}

/// An element; `len` in place of the value's own where it is given.
fn element(coding: Coding, at: Tag, vr: &[u8; 2], value: &[u8], len: Option<u32>) -> Vec<u8> {
    let len = len.unwrap_or(value.len() as u32);
    let mut bytes = tag(coding, at);
    let is_long = [*b"OB", *b"OW", *b"SQ", *b"UN", *b"UT"].contains(vr);
    match (coding.explicit && at >> 16 != 0xFFFE, is_long) {
        (true, true) => bytes.extend([&vr[..], &[0, 0], &put32(coding, len)].concat()),
        (true, false) => bytes.extend([&vr[..], &put16(coding, len as u16)].concat()),
        (false, _) => bytes.extend(put32(coding, len)),
    }
    bytes.extend(value);
    bytes
}

/// Sequences of both kinds, one within the other, wanted and not, and voxels.
fn sample(coding: Coding) -> Vec<u8> {
    let plain = |at, vr, value: &[u8]| element(coding, at, vr, value, None);
    let open = |at, vr, value: &[u8]| element(coding, at, vr, value, Some(UNDEFINED));
    let inner = plain(0x0028_1053, b"DS", b"2 ");
    let closed_item = plain(ITEM, b"  ", &inner);
    let open_item = [open(ITEM, b"  ", &inner), plain(ITEM_END, b"  ", &[])].concat();
    let hidden = [open(0x0009_1001, b"SQ", &open_item), plain(SEQUENCE_END, b"  ", &[])].concat();
    [
        plain(0x0008_0060, b"CS", b"CT"),
        hidden,
        plain(0x0009_1002, b"SQ", &closed_item),
        plain(0x0028_0010, b"US", &put16(coding, 2)),
        plain(SHARED, b"SQ", &[closed_item, open_item].concat()),
        plain(PIXELS, b"OW", &[1, 2, 3, 4]),
    ]
    .concat()
}

#[test]
fn wanted_values_are_told_and_the_others_passed_over() {
    for coding in [EXPLICIT, IMPLICIT, BIG] {
        let bytes = sample(coding);
        let (found, told) = walked(&bytes, coding);
        let tags: Vec<Tag> = told.values.iter().map(|(tag, _)| *tag).collect();
        assert_eq!(tags, [0x0028_0010, 0x0028_1053, 0x0028_1053], "{coding:?}");
        assert_eq!((told.items, told.left), (2, 1));
        let place = Place::Native(Span { offset: bytes.len() as u64 - 4, len: 4 });
        assert_eq!(found.unwrap().unwrap(), Pixels { tag: PIXELS, words: true, place });
    }
}

#[test]
fn unknown_sequences_are_implicit() {
    let item = element(IMPLICIT, ITEM, b"  ", &element(IMPLICIT, 0x0009_0001, b"UN", b"abcd", None), None);
    let end = element(IMPLICIT, SEQUENCE_END, b"  ", &[], None);
    let bytes = [
        element(EXPLICIT, 0x0009_1001, b"UN", &[item, end].concat(), Some(UNDEFINED)),
        element(EXPLICIT, 0x0028_0010, b"US", &[1, 0], None),
    ];
    let (found, told) = walked(&bytes.concat(), EXPLICIT);
    assert!(found.unwrap().is_none());
    assert_eq!(told.values, [(0x0028_0010, vec![1, 0])]);
}

#[test]
fn fragments_are_found() {
    let item = |value: &[u8]| element(EXPLICIT, ITEM, b"  ", value, None);
    let bytes = [
        element(EXPLICIT, PIXELS, b"OB", &[], Some(UNDEFINED)),
        item(&[]),
        item(b"abcd"),
        item(b"ef"),
        element(EXPLICIT, SEQUENCE_END, b"  ", &[], None),
    ]
    .concat();
    let found = walked(&bytes, EXPLICIT).0.unwrap().unwrap();
    assert_eq!(found.place, Place::Fragments(vec![Span { offset: 28, len: 4 }, Span { offset: 40, len: 2 }]));
    for cut in 13..bytes.len() {
        assert!(walked(&bytes[..cut], EXPLICIT).0.is_err(), "{cut}");
    }
}

#[test]
fn damage_is_an_error_or_read_and_never_ends_the_program() {
    for coding in [EXPLICIT, IMPLICIT, BIG] {
        let bytes = sample(coding);
        for cut in 0..bytes.len() {
            let (found, _) = walked(&bytes[..cut], coding);
            assert!(!matches!(found, Ok(Some(_))), "{coding:?}: {cut}");
        }
        for at in 0..bytes.len() {
            for flip in [0x01, 0x10, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                if let (Ok(Some(Pixels { place: Place::Native(span), .. })), _) = walked(&damaged, coding) {
                    assert!(span.offset + span.len <= bytes.len() as u64, "{coding:?}: {at}");
                }
            }
        }
    }
}

#[test]
fn depth_and_lengths_are_bounded() {
    let mut deep = Vec::new();
    for _ in 0..1000 {
        deep.extend(element(IMPLICIT, 0x0009_1001, b"SQ", &[], Some(UNDEFINED)));
        deep.extend(element(IMPLICIT, ITEM, b"  ", &[], Some(UNDEFINED)));
    }
    let Err(Fault::Wrong { field, .. }) = walked(&deep, IMPLICIT).0 else { panic!("read") };
    assert_eq!(field, "the depth of sequences");
    for at in [0x0008_0060, 0x0028_0010, PIXELS, SHARED] {
        let long = element(EXPLICIT, at, b"OB", &[0; 8], Some(9));
        let Err(Fault::Wrong { found, expected, .. }) = walked(&long, EXPLICIT).0 else { panic!("read") };
        assert_eq!((found.as_str(), expected.as_str()), ("9", "8 at most"), "{at:x}");
    }
    // An item must not reach beyond its sequence.
    let item = element(EXPLICIT, ITEM, b"  ", &[0; 8], Some(64));
    let bytes = [element(EXPLICIT, SHARED, b"SQ", &item, None), vec![0; 100]].concat();
    assert!(walked(&bytes, EXPLICIT).0.is_err());
}
