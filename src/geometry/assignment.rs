//! Which axis goes with which: the best of the six permutations.

const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// The permutation `p` with the largest product of `score(a, p[a])`; among equals (to 1e-9) the one nearest the identity.
///
/// Scores are not negative. Where every product is 0 it is the identity.
pub(super) fn best_assignment(score: impl Fn(usize, usize) -> f64) -> [usize; 3] {
    let product = |p: [usize; 3]| (0..3).map(|a| score(a, p[a])).product::<f64>();
    let mut best = PERMUTATIONS[0];
    for p in PERMUTATIONS {
        if product(p) > product(best) * (1.0 + 1e-9) {
            best = p;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_permutation() {
        for p in PERMUTATIONS {
            assert_eq!(best_assignment(|a, b| if p[a] == b { 0.8 } else { 0.3 }), p);
        }
    }

    #[test]
    fn ties_and_zeros_go_to_the_identity() {
        assert_eq!(best_assignment(|_, _| 0.5), [0, 1, 2]);
        assert_eq!(best_assignment(|_, _| 0.0), [0, 1, 2]);
        assert_eq!(best_assignment(|_, _| f64::NAN), [0, 1, 2]);
    }

    #[test]
    fn the_whole_counts_not_the_single_best() {
        let score = [[0.8, 0.6, 0.1], [0.78, 0.1, 0.2], [0.1, 0.2, 0.9]];
        assert_eq!(best_assignment(|a, b| score[a][b]), [1, 0, 2]);
    }
}
