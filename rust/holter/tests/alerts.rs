//! Each rule against an oracle that reevaluates all points after each one.

use holter::record::alerts::rule::{Condition, Level, Rule, State, parse_rules};
use proptest::prelude::*;

/// Points of a series with small gaps between steps, and values near the thresholds.
fn points() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        8 => (-8_i32..8).prop_map(|value| f64::from(value) / 4.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        1 => any::<f64>(),
    ];
    (any::<i16>(), prop::collection::vec((1_i64..4, value), 1..60)).prop_map(|(first, points)| {
        let mut step = i64::from(first);
        let next = |(distance, value)| {
            step += distance;
            (step, value)
        };
        points.into_iter().map(next).collect()
    })
}

fn fired(condition: &Condition, points: &[(i64, f64)]) -> Vec<usize> {
    let mut state = State::default();
    (0..points.len()).filter(|&i| state.begins(condition, points[i].0, points[i].1)).collect()
}

/// The indices where the condition, evaluated on each prefix of the points, begins to hold.
fn edges(points: &[(i64, f64)], holds: impl Fn(&[(i64, f64)]) -> bool) -> Vec<usize> {
    (0..points.len()).filter(|&i| holds(&points[..=i]) && (i == 0 || !holds(&points[..i]))).collect()
}

fn lasts(points: &[(i64, f64)], steps: u64, is_beyond: impl Fn(f64) -> bool) -> bool {
    let last = points[points.len() - 1].0;
    (0..points.len()).any(|first| {
        points[first..].iter().all(|&(_, value)| is_beyond(value)) && (last - points[first].0) as u64 + 1 >= steps
    })
}

fn is_on_plateau(points: &[(i64, f64)], steps: u64, tolerance: f64) -> bool {
    let mut rest = points;
    loop {
        let (first, value) = rest[0];
        let is_near = |other: f64| (other - value).abs() <= tolerance;
        match rest.iter().position(|&(_, other)| !is_near(other)) {
            None => return (rest[rest.len() - 1].0 - first) as u64 + 1 >= steps,
            // A non-finite value is not within any distance, even of itself.
            Some(end) if end.max(1) == rest.len() => return false,
            Some(end) => rest = &rest[end.max(1)..],
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn consecutive_non_finite_values_raise_one_alert(points in points()) {
        let expected = edges(&points, |prefix| !prefix[prefix.len() - 1].1.is_finite());
        prop_assert_eq!(fired(&Condition::NonFinite, &points), expected);
    }

    #[test]
    fn thresholds_raise_an_alert_after_enough_steps(points in points(), steps in 1_u64..12) {
        let threshold = 0.25;
        let below = edges(&points, |prefix| lasts(prefix, steps, |value| value < threshold));
        prop_assert_eq!(fired(&Condition::Below { threshold, steps }, &points), below);
        let above = edges(&points, |prefix| lasts(prefix, steps, |value| value > threshold));
        prop_assert_eq!(fired(&Condition::Above { threshold, steps }, &points), above);
    }

    #[test]
    fn plateaus_raise_an_alert_after_enough_steps(points in points(), steps in 1_u64..12, tolerance in 0_u8..4) {
        let tolerance = f64::from(tolerance) / 4.0;
        let expected = edges(&points, |prefix| is_on_plateau(prefix, steps, tolerance));
        prop_assert_eq!(fired(&Condition::Plateau { tolerance, steps }, &points), expected);
    }

    #[test]
    fn spikes_are_detected_by_the_weighted_moments(
        values in prop::collection::vec(prop_oneof![9 => -1.0_f64..1.0, 1 => -100.0..100.0], 1..120),
        half_life in 1.0..40.0,
    ) {
        let (sigmas, warmup) = (4.0, 10);
        let mut state = State::default();
        let (mut absorbed, mut weights): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        let mut was_spike = false;
        for (step, &value) in values.iter().enumerate() {
            let mean: f64 = absorbed.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
            let variance: f64 = absorbed.iter().zip(&weights).map(|(v, weight)| (v - mean).powi(2) * weight).sum();
            let limit = sigmas * variance.sqrt();
            // This close to the limit, rounding decides, and the rest of the example is meaningless.
            if ((value - mean).abs() - limit).abs() < 1e-9 && absorbed.len() >= warmup {
                break;
            }
            let is_spike = absorbed.len() >= warmup && (value - mean).abs() > limit;
            let begins = state.begins(&Condition::Spike { sigmas, half_life, warmup: warmup as u64 }, step as i64, value);
            prop_assert_eq!(begins, is_spike && !was_spike, "step {}", step);
            was_spike = is_spike;
            absorbed.push(if is_spike { value.clamp(mean - limit, mean + limit) } else { value });
            let weight = (1.0 - 0.5_f64.powf(1.0 / half_life)).max(1.0 / absorbed.len() as f64);
            for other in &mut weights {
                *other *= 1.0 - weight;
            }
            weights.push(weight);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = parse_rules(&text);
    }
}

#[test]
fn spikes_are_detected_again_after_a_change_of_level() {
    let condition = Condition::Spike { sigmas: 6.0, half_life: 20.0, warmup: 20 };
    let noise = |i: usize| ((i * 7919) % 101) as f64 / 101.0;
    let level = |i: usize| if i < 100 { 0.0 } else { 50.0 };
    let mut values: Vec<f64> = (0..400).map(|i| level(i) + noise(i)).collect();
    values.push(1000.0);
    let points: Vec<(i64, f64)> = values.into_iter().enumerate().map(|(i, value)| (i as i64, value)).collect();
    assert_eq!(fired(&condition, &points), [100, 400]);
}

#[test]
fn constant_and_overflowing_series_have_no_spikes() {
    let condition = Condition::Spike { sigmas: 3.0, half_life: 5.0, warmup: 2 };
    let constant: Vec<(i64, f64)> = (0..50).map(|i| (i, if i < 40 { 0.1 } else { 0.2 })).collect();
    assert_eq!(fired(&condition, &constant), [0; 0]);
    let huge: Vec<(i64, f64)> = (0..50).map(|i| (i, if i % 2 == 0 { f64::MAX } else { f64::MIN })).collect();
    assert_eq!(fired(&condition, &huge), [0; 0]);
}

#[test]
fn conditions_can_span_the_whole_range_of_steps() {
    let condition = Condition::Above { threshold: 0.0, steps: u64::MAX };
    assert_eq!(fired(&condition, &[(i64::MIN, 1.0), (i64::MAX, 1.0)]), [1]);
}

#[test]
fn rules_are_parsed_and_invalid_ones_named() {
    let rules = parse_rules(
        r#"[{"rule": "below", "pattern": "a/*", "level": "info", "stop": true, "threshold": 0.1, "steps": 3}]"#,
    );
    let expected = Rule {
        pattern: "a/*".to_owned(),
        condition: Condition::Below { threshold: 0.1, steps: 3 },
        level: Level::Info,
        stop: true,
    };
    assert_eq!(rules.expect("the rule is valid"), [expected]);
    for (text, words) in [
        ("{}", "array"),
        ("[1]", "array"),
        (r#"[{"rule": "wrong", REST}]"#, "alert 0: unknown variant `wrong`, expected one of `non_finite`"),
        (r#"[{"rule": "below", "threshold": 1, REST}]"#, "alert 0: missing field `steps`"),
        (r#"[{"rule": "below", "threshold": 1, "steps": 0, REST}]"#, "alert 0: steps must be 1 or more, got 0"),
        (r#"[{"rule": "plateau", "tolerance": -1, "steps": 1, REST}]"#, "tolerance must be 0 or more, got -1"),
        (r#"[{"rule": "spike", "sigmas": 0, "half_life": 1, "warmup": 1, REST}]"#, "sigmas must be above 0, got 0"),
        (r#"[{"rule": "non_finite", "pattern": "*", "level": "loud", "stop": true}]"#, "unknown variant `loud`"),
    ] {
        let text = &text.replace("REST", r#""pattern": "*", "level": "info", "stop": false"#);
        let message = parse_rules(text).expect_err(text).to_string();
        assert!(message.contains(words), "{text}: {message}");
    }
}
