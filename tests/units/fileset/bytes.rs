use super::*;

#[test]
fn slots_share_no_byte() {
    let slots = (1..=MOST).flat_map(slot);
    let mut all: Vec<i64> = slots.chain([TURN, AWAITED, LINE, COLLECTS]).map(|bytes| bytes.first).collect();
    all.sort_unstable();
    // Nor are they adjacent.
    assert!(all.windows(2).all(|pair| pair[0] + 1 < pair[1]));
    assert!(all[0] == LOCKS.first && all[all.len() - 1] < LOCKS.first + LOCKS.len);
}
