//! Which experts a token goes to, and how much each of them counts.

use farthing_kernels::Team;

/// What the router's logits become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gating {
    /// Their softmax.
    Softmax,
    /// The sigmoid of each.
    Sigmoid,
    /// Each of the chosen has its part of a softmax of its own: of those not chosen before it that are
    /// hardly less (SparseMixer, arXiv:2409.12136).
    SparseMixer,
}

/// How much less a logit may be relative to its size, for SparseMixer to take it for equal; no file says it.
const HARDLY_LESS: f32 = 0.02;

/// How experts are chosen and weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Experts in all.
    pub n: usize,
    /// For each token.
    pub used: usize,
    /// What probabilities are.
    pub gating: Gating,
    /// Whether the probabilities of the chosen are divided by their sum.
    pub normalized: bool,
    /// The factor of the shares.
    pub scale: f32,
    /// If experts stand in groups, how many groups there are and how many are chosen from: those with
    /// the largest sums of their two best (DeepSeek-V3, arXiv:2412.19437).
    pub groups: Option<(usize, usize)>,
}

/// Which token goes to which experts.
#[derive(Default)]
pub struct Routes {
    /// `[n][used]`: experts with their shares of the output, the largest first.
    chosen: Vec<(u32, f32)>,
    /// Where each expert's tokens begin in `tokens`, and the end.
    pub starts: Vec<usize>,
    /// Tokens by expert.
    pub tokens: Vec<u32>,
    /// `[n][used]`: places in `tokens`, with the shares.
    pub places: Vec<(u32, f32)>,
}

impl Routes {
    /// From the router's logits, `[n][experts]`; the bias moves the choice, not the shares, which are
    /// multiplied by the experts' scales.
    pub fn set(
        &mut self,
        team: &Team,
        logits: &[f32],
        how: &Choice,
        bias: Option<&[f32]>,
        scales: Option<&[f32]>,
    ) {
        let (n_experts, used) = (how.n, how.used);
        self.chosen.clear();
        self.chosen.resize(logits.len() / n_experts * used, (0, 0.0));
        team.for_rows(&mut self.chosen, used, (1 << 12) / n_experts + 1, &|first, rows| {
            let mut memory = Memory::default();
            let logits = logits.chunks_exact(n_experts).skip(first);
            for (chosen, logits) in rows.chunks_exact_mut(used).zip(logits) {
                how.choose(logits, bias, &mut memory, chosen);
            }
        });
        self.starts.clear();
        self.starts.resize(n_experts + 1, 0);
        for &(expert, _) in &self.chosen {
            self.starts[expert as usize + 1] += 1;
        }
        for expert in 0..n_experts {
            self.starts[expert + 1] += self.starts[expert];
        }
        let mut next = self.starts.clone();
        self.tokens.resize(self.chosen.len(), 0);
        self.places.clear();
        for (i, &(expert, share)) in self.chosen.iter().enumerate() {
            let place = &mut next[expert as usize];
            self.tokens[*place] = (i / used) as u32;
            let scale = scales.map_or(1.0, |scales| scales[expert as usize]);
            self.places.push((*place as u32, share * scale));
            *place += 1;
        }
    }
}

/// What choosing needs, to be used again.
#[derive(Default)]
struct Memory {
    order: Vec<u32>,
    probabilities: Vec<f32>,
    scores: Vec<f32>,
    groups: Vec<(f32, usize)>,
}

impl Choice {
    fn choose(
        &self,
        logits: &[f32],
        bias: Option<&[f32]>,
        memory: &mut Memory,
        chosen: &mut [(u32, f32)],
    ) {
        let Memory { order, probabilities, scores, groups } = memory;
        if self.gating == Gating::SparseMixer {
            best(logits, order, chosen.len());
            for (i, chosen) in chosen.iter_mut().enumerate() {
                *chosen =
                    (order[i], share_of_equals(logits, &order[..i], logits[order[i] as usize]));
            }
        } else if self.gating == Gating::Softmax
            && self.normalized
            && bias.is_none()
            && self.groups.is_none()
        {
            // The softmax over the chosen is the same without the others.
            best(logits, order, chosen.len());
            let max = logits[order[0] as usize];
            share(chosen, order, |expert| (logits[expert] - max).exp());
        } else {
            self.probabilities(logits, probabilities);
            scores.clear();
            scores.extend_from_slice(probabilities);
            if let Some(bias) = bias {
                scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
            }
            if let Some((n, used)) = self.groups {
                keep_groups(scores, n, used, groups);
            }
            best(scores, order, chosen.len());
            share(chosen, order, |expert| probabilities[expert]);
        }
        let sum: f32 = chosen.iter().map(|(_, share)| share).sum();
        let factor = if self.normalized { self.scale / sum.max(1e-20) } else { self.scale };
        chosen.iter_mut().for_each(|(_, share)| *share *= factor);
    }

    fn probabilities(&self, logits: &[f32], out: &mut Vec<f32>) {
        out.clear();
        match self.gating {
            Gating::Sigmoid => out.extend(logits.iter().map(|x| 1.0 / (1.0 + (-x).exp()))),
            Gating::Softmax | Gating::SparseMixer => {
                let max = logits.iter().fold(f32::MIN, |max, &x| max.max(x));
                out.extend(logits.iter().map(|x| (x - max).exp()));
                let sum: f32 = out.iter().sum();
                out.iter_mut().for_each(|x| *x /= sum);
            }
        }
    }
}

/// Puts the experts with the largest scores into `order`, the largest first.
fn best(scores: &[f32], order: &mut Vec<u32>, n: usize) {
    let falling =
        |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    order.clear();
    order.extend(0..scores.len() as u32);
    if n < order.len() {
        order.select_nth_unstable_by(n, falling);
        order.truncate(n);
    }
    order.sort_unstable_by(falling);
}

/// The part that the largest logit `max` has in the softmax of those hardly less, `before` left out.
fn share_of_equals(logits: &[f32], before: &[u32], max: f32) -> f32 {
    let left = (0..).zip(logits).filter(|(expert, _)| !before.contains(expert)).map(|(_, x)| x);
    let equals = left.filter(|x| max - **x <= HARDLY_LESS * x.abs().max(max));
    1.0 / equals.map(|x| (x - max).exp()).sum::<f32>()
}

fn share(chosen: &mut [(u32, f32)], order: &[u32], of: impl Fn(usize) -> f32) {
    for (chosen, &expert) in chosen.iter_mut().zip(order) {
        *chosen = (expert, of(expert as usize));
    }
}

/// Leaves the scores of the best groups, the others' being as low as can be.
fn keep_groups(scores: &mut [f32], n: usize, used: usize, groups: &mut Vec<(f32, usize)>) {
    let len = scores.len() / n;
    groups.clear();
    groups.extend(scores.chunks_exact(len).enumerate().map(|(i, scores)| {
        let mut best = [f32::NEG_INFINITY; 2];
        for &score in scores {
            if score > best[0] {
                best = [score, best[0]];
            } else if score > best[1] {
                best[1] = score;
            }
        }
        (if len > 1 { best[0] + best[1] } else { best[0] }, i)
    }));
    groups.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for &(_, group) in &groups[used..] {
        scores[group * len..][..len].fill(f32::NEG_INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(n: usize, used: usize) -> Choice {
        let gating = Gating::Softmax;
        Choice { n, used, gating, normalized: true, scale: 1.0, groups: None }
    }

    #[test]
    fn biases_and_groups_move_the_choice_only() {
        let logits = [2.0, -1.0, 0.5, 1.0, -3.0, 1.5];
        let bias = [0.0, 0.0, 0.0, 0.0, 2.0, 0.0];
        let chosen = |how: Choice, bias| {
            let mut chosen = vec![(0, 0.0); how.used];
            how.choose(&logits, bias, &mut Memory::default(), &mut chosen);
            chosen
        };
        let sigmoid = |i: usize| 1.0 / (1.0 + (-logits[i]).exp());
        let how = Choice { gating: Gating::Sigmoid, normalized: false, scale: 2.0, ..choice(6, 2) };
        assert_eq!(chosen(how, Some(&bias)), [(4, 2.0 * sigmoid(4)), (0, 2.0 * sigmoid(0))]);
        // Of the pairs, 2 and 3 are best together.
        let how = Choice { groups: Some((3, 1)), ..how };
        assert_eq!(chosen(how, None), [(3, 2.0 * sigmoid(3)), (2, 2.0 * sigmoid(2))]);
    }

    #[test]
    fn each_of_the_chosen_shares_with_its_equals() {
        let logits = [1.0, 4.0, 3.95, -2.0, 3.9];
        let how = Choice { gating: Gating::SparseMixer, normalized: false, ..choice(5, 2) };
        let mut chosen = vec![(0, 0.0); 2];
        how.choose(&logits, None, &mut Memory::default(), &mut chosen);
        // 3.9 is more than 2 % of 4 below 4, but not below 3.95.
        let share = |less: f32| 1.0 / (1.0 + (-less).exp());
        assert_eq!([chosen[0].0, chosen[1].0], [1, 2]);
        assert!((chosen[0].1 - share(0.05)).abs() < 1e-6);
        assert!((chosen[1].1 - share(0.05)).abs() < 1e-6);
    }

    #[test]
    fn tokens_are_sorted_by_expert() {
        let team = Team::new(2).unwrap();
        let _workers = team.muster();
        let (n, n_experts, used) = (3000, 7, 3);
        // Expert 6 is never among the best.
        let logit = |i: usize| if i % 7 == 6 { -9.0 } else { (i * 37 % 101) as f32 * 0.1 };
        let logits: Vec<f32> = (0..n * n_experts).map(logit).collect();
        let mut routes = Routes::default();
        for _ in 0..2 {
            routes.set(&team, &logits, &choice(n_experts, used), None, None);
        }
        assert_eq!((routes.starts[0], routes.starts[6], routes.starts[7]), (0, n * used, n * used));
        for token in 0..n {
            let row = &logits[token * n_experts..][..n_experts];
            let mut sorted: Vec<usize> = (0..n_experts).collect();
            sorted.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let total: f32 = sorted[..used].iter().map(|&e| row[e].exp()).sum();
            for (&expert, &(place, share)) in
                sorted[..used].iter().zip(&routes.places[token * used..])
            {
                let range = routes.starts[expert]..routes.starts[expert + 1];
                assert!(range.contains(&(place as usize)), "token {token}, expert {expert}");
                assert_eq!(routes.tokens[place as usize] as usize, token);
                assert!((share - row[expert].exp() / total).abs() < 1e-5);
            }
        }
    }
}
