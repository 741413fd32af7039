//! Packs that were bent, cut, swapped, mixed, or made by others.

use super::*;

const KEY: MeshKey = MeshKey([7; 32]);

/// What a small pack holds: three chunks of different lengths.
fn contents() -> Vec<Vec<u8>> {
    vec![b"label".to_vec(), vec![3; 40], b"end".to_vec()]
}

/// A pack with this salt, in its pieces: the head, then every chunk with its own head.
fn pieces(key: &MeshKey, salt: u8) -> Vec<Vec<u8>> {
    let (mut sealer, head) = Sealer::new(key, [salt; 32]);
    let contents = contents();
    let last = contents.len() - 1;
    let chunks = contents.iter().enumerate().map(|(at, content)| {
        let place = if at == last {
            Place::Last
        } else {
            Place::Middle
        };
        sealer.chunk(content, place)
    });
    let chunks: Vec<_> = chunks.collect();
    [vec![head.to_vec()], chunks].concat()
}

/// How reading a pack ended.
#[derive(Debug, PartialEq)]
enum End {
    Whole,
    CutOff,
    Refused(PackError),
}

/// Every chunk, opened or not, and how it ended.
fn read(mut bytes: &[u8], known: &[MeshKey]) -> (Vec<Result<Vec<u8>, PackError>>, End) {
    let mut read = Vec::new();
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return (read, End::CutOff);
    };
    bytes = rest;
    let mut opener = match Opener::new(head, known) {
        Ok(opener) => opener,
        Err(error) => return (read, End::Refused(error)),
    };
    loop {
        let Some((head, rest)) = bytes.split_first_chunk::<CHUNK_HEAD_BYTES>() else {
            return (read, End::CutOff);
        };
        let head = match opener.chunk_head(*head) {
            Ok(head) => head,
            Err(error) => return (read, End::Refused(error)),
        };
        if rest.len() < head.length {
            return (read, End::CutOff);
        }
        let (sealed, rest) = rest.split_at(head.length);
        let chunk = opener.chunk(head, sealed);
        let is_end = chunk.is_ok() && head.place == Place::Last;
        read.push(chunk);
        if is_end {
            return (read, End::Whole);
        }
        bytes = rest;
    }
}

fn opened(read: &[Result<Vec<u8>, PackError>]) -> Vec<Vec<u8>> {
    read.iter().flatten().cloned().collect()
}

#[test]
fn a_pack_opens_under_any_key_that_is_known_and_says_nothing_without() {
    let bytes = pieces(&KEY, 1).concat();
    let (read_back, end) = read(&bytes, &[MeshKey([8; 32]), KEY]);
    assert_eq!((opened(&read_back), end), (contents(), End::Whole));
    let foreign = read(&bytes, &[MeshKey([8; 32])]);
    assert_eq!(foreign, (vec![], End::Refused(PackError::Foreign)));
    let other = pieces(&KEY, 2).concat();
    let same = (10..HEAD_BYTES).filter(|at| bytes[*at] == other[*at]);
    assert!(same.count() < 4, "two packs of one studio share nothing");
}

#[test]
fn a_pack_cut_at_any_length_gives_what_came_before_and_never_seems_whole() {
    let bytes = pieces(&KEY, 1).concat();
    for length in 0..bytes.len() {
        let (read_back, end) = read(&bytes[..length], &[KEY]);
        assert_eq!(end, End::CutOff, "{length}");
        assert!(contents().starts_with(&opened(&read_back)), "{length}");
    }
    // Cut between two chunks, and the one before made to say that it is the last.
    let mut pieces = pieces(&KEY, 1);
    pieces.pop();
    pieces[2][4] = 1;
    let (read_back, end) = read(&pieces.concat(), &[KEY]);
    assert_eq!(
        (opened(&read_back).len(), end),
        (1, End::CutOff),
        "it cannot say so"
    );
}

#[test]
fn a_bent_byte_anywhere_costs_at_most_the_chunk_it_is_in_unless_it_says_where_the_next_begins() {
    let whole = pieces(&KEY, 1);
    let bytes = whole.concat();
    let mut chunk_heads = Vec::new();
    let mut at = HEAD_BYTES;
    for piece in &whole[1..] {
        chunk_heads.extend(at..at + CHUNK_HEAD_BYTES);
        at += piece.len();
    }
    for at in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut bent = bytes.clone();
            bent[at] ^= bit;
            let (read_back, end) = read(&bent, &[KEY]);
            for content in opened(&read_back) {
                assert!(contents().contains(&content), "byte {at}");
            }
            if at < HEAD_BYTES {
                assert_eq!(read_back, vec![], "byte {at}");
                assert!(matches!(end, End::Refused(_)), "byte {at}");
                continue;
            }
            assert!(opened(&read_back).len() < contents().len(), "byte {at}");
            if !chunk_heads.contains(&at) {
                assert_eq!(opened(&read_back).len(), 2, "byte {at}");
            }
        }
    }
}

#[test]
fn chunks_that_were_swapped_doubled_or_taken_from_another_pack_do_not_open() {
    let whole = pieces(&KEY, 1);
    let other = pieces(&KEY, 2);
    let of = |order: &[&Vec<u8>]| {
        let order: Vec<Vec<u8>> = order.iter().map(|piece| (*piece).clone()).collect();
        let (read_back, end) = read(&order.concat(), &[KEY]);
        (opened(&read_back).len(), end)
    };
    assert_eq!(
        of(&[&whole[0], &whole[2], &whole[1], &whole[3]]),
        (1, End::Whole)
    );
    let doubled = of(&[&whole[0], &whole[1], &whole[1], &whole[2], &whole[3]]);
    assert_eq!(doubled, (1, End::CutOff));
    let mixed = of(&[&whole[0], &whole[1], &other[2], &whole[3]]);
    assert_eq!(mixed, (2, End::Whole));
}

#[test]
fn another_file_and_a_newer_pack_are_told_apart() {
    let mut bytes = pieces(&KEY, 1).concat();
    bytes[8] = 2;
    let newer = read(&bytes, &[KEY]);
    assert_eq!(newer, (vec![], End::Refused(PackError::Newer(2))));
    let picture = [&b"\x89PNG\r\n\x1a\n"[..], &[0; 60]].concat();
    let other = read(&picture, &[KEY]);
    assert_eq!(other, (vec![], End::Refused(PackError::NotAPack)));
}

#[test]
fn no_chunk_is_read_before_its_length_is_known_to_be_bounded() {
    let (_, head) = Sealer::new(&KEY, [1; 32]);
    let opener = Opener::new(&head, &[KEY]).expect("ours");
    for length in [0, 15, limits::PACK_CHUNK_BYTES as u32 + 17, u32::MAX] {
        let mut head = [0; CHUNK_HEAD_BYTES];
        head[..4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(opener.chunk_head(head), Err(PackError::Nonsense));
    }
}

#[test]
fn a_part_reads_back_and_nothing_longer_or_unshowable_is_one() {
    let label = Label {
        studio: crate::id::StudioId([1; 16]),
        device: crate::id::DeviceId([2; 16]),
        name: "front-desk".into(),
        at: crate::time::WallMs(5),
        scope: Scope::For("laptop".into()),
        bundles: 3,
        pages: 0,
    };
    let part = Part::Label(label.clone());
    assert_eq!(Part::decode(&part.encode()), Ok(part.clone()));
    let longer = [part.encode(), vec![0]].concat();
    assert_eq!(Part::decode(&longer), Err(PartError));
    let moved = Part::Label(Label {
        scope: Scope::For("\u{1b}[2J".into()),
        ..label
    });
    assert_eq!(Part::decode(&moved.encode()), Err(PartError));
}

#[test]
fn reasons_are_counted_and_bounded() {
    let mut all = Taken::default();
    for n in 0..100 {
        let mut one = Taken::default();
        one.refuse(&format!("reason {n}"));
        one.refuse("again");
        all.add(one);
    }
    assert!(
        all.refused.len() <= REASONS_AND_ONE,
        "{}",
        all.refused.len()
    );
    assert_eq!(all.refused["again"], 100);
    assert_eq!(all.refused.values().sum::<u64>(), 200);
}

/// Those that are told apart, and one for the rest.
const REASONS_AND_ONE: usize = 33;
