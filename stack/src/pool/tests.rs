use super::*;

const BLOCK: usize = 64;

fn fill(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

fn contents(chain: &Chain, pool: &Pool<'_>) -> Vec<u8> {
    let mut out = vec![0; chain.len()];
    assert_eq!(chain.copy_out(pool, 0, &mut out), out.len());
    out
}

/// H199: a pool that is used up says so; what is given back can be taken again.
#[test]
fn exhaustion_is_a_short_count() {
    let mut memory = vec![0; 4 * (BLOCK + 4)];
    let mut pool = Pool::borrowed(&mut memory, BLOCK);
    assert_eq!(pool.capacity(), 4 * BLOCK);
    let (mut a, mut b) = (Chain::new(), Chain::new());
    assert_eq!(a.append(&mut pool, &fill(100, 1)), 100);
    assert_eq!(b.append(&mut pool, &fill(500, 2)), 2 * BLOCK);
    assert_eq!(pool.available(), 0);
    assert_eq!(contents(&a, &pool), fill(100, 1));
    assert_eq!(contents(&b, &pool), &fill(500, 2)[..2 * BLOCK]);
    assert!(!a.append_whole(&mut pool, Bytes::new(&[&fill(60, 3)])));
    a.clear(&mut pool);
    assert_eq!(pool.available(), 2 * BLOCK);
    assert_eq!(b.append(&mut pool, &[7]), 1);
    b.clear(&mut pool);
    assert_eq!(pool.in_use(), 0);
}

/// A model of a queue and the chain agree under random use, and no block is lost.
#[test]
fn a_chain_is_a_byte_queue() {
    let mut pool = Pool::growing(100 * BLOCK, BLOCK);
    let (mut chain, mut model) = (Chain::new(), std::collections::VecDeque::<u8>::new());
    let mut cursor = Cursor::FRONT;
    let mut x = 12345u32;
    for step in 0..20_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let n = (x >> 16) as usize % 300;
        match x >> 30 {
            0 | 1 => {
                let data = fill(n, step as u8);
                let done = chain.append(&mut pool, &data);
                model.extend(&data[..done]);
            }
            2 => {
                chain.consume(&mut pool, n);
                model.drain(..n.min(model.len()));
            }
            _ => {
                let offset = n.min(model.len());
                let mut pieces = heapless::Vec::<&[u8], 3>::new();
                let len = chain.pieces(&pool, &mut cursor, offset, 150, &mut pieces);
                let got: Vec<u8> = pieces.concat();
                assert_eq!(got.len(), len);
                assert!(len >= 128.min(model.len() - offset), "{len} of {}", model.len() - offset);
                assert!(got.iter().eq(model.range(offset..offset + len)));
            }
        }
        assert_eq!(chain.len(), model.len());
        assert!(chain.held(&pool) <= model.len() + 2 * BLOCK);
        if step % 64 == 0 {
            assert!(contents(&chain, &pool).iter().eq(model.iter()));
            assert!(chain.front(&pool).iter().eq(model.iter().take(chain.front(&pool).len())));
        }
    }
    chain.clear(&mut pool);
    assert_eq!(pool.in_use(), 0);
}

/// Out-of-order bytes are written ahead of the ones that are missing.
#[test]
fn writing_ahead_leaves_a_hole_to_fill() {
    let mut pool = Pool::growing(100 * BLOCK, BLOCK);
    let mut chain = Chain::new();
    let data = fill(1000, 9);
    assert!(chain.reserve(&mut pool, 1000));
    assert_eq!(chain.write(&mut pool, 500, &data[500..]), 500);
    assert_eq!(chain.write(&mut pool, 0, &data[..500]), 500);
    assert_eq!(contents(&chain, &pool), data);
    chain.truncate(&mut pool, 100);
    assert_eq!(pool.in_use(), 2 * BLOCK);
    assert_eq!(chain.append(&mut pool, &data[100..400]), 300);
    assert_eq!(contents(&chain, &pool), &data[..400]);
    assert!(chain.reserve(&mut pool, 700));
    assert_eq!(chain.append(&mut pool, &data[400..700]), 300);
    assert_eq!(contents(&chain, &pool), &data[..700]);
    chain.truncate(&mut pool, 0);
    assert_eq!(pool.in_use(), 0);
}
