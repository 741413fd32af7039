//! Signing in by a code, and refresh tokens that change with every use: on a clock of the test's own.

use studiovault_protocol::id::DeviceId;
use studiovault_protocol::time::WallMs;

use super::fixture::{NOON, Scene, three_machines};
use crate::sign_in::{
    ACCESS_MS, CODE_MS, Decision, REFRESH_MS, REPEAT_MS, STRANGERS, SignInError, Tokens, Wish,
};
use crate::store::StoreError;
use crate::tokens::{Grantee, Scope, hash_of};

fn after(ms: i64) -> WallMs {
    WallMs(NOON.0 + ms)
}

fn wish(scene: &Scene) -> Wish {
    Wish {
        studio: scene.studio,
        device: Some(scene.machines[0].device),
        name: "front desk".into(),
        scope: Scope::Carry,
        proven: true,
    }
}

fn signed_in(scene: &Scene) -> Tokens {
    let codes = scene.truth.open_code(&wish(scene), NOON).expect("opens");
    let said = (codes.user.as_str(), Decision::Approve);
    let decided = scene.truth.decide_code(said, NOON).expect("decides");
    assert_eq!(decided, Some(wish(scene)));
    let tokens = scene.truth.redeem_code(&codes.device, NOON);
    tokens.expect("gives tokens")
}

fn holder(scene: &Scene, tokens: &Tokens, now: WallMs) -> Option<Grantee> {
    let hash = hash_of(&tokens.access);
    let held = scene.truth.store.read(|session| {
        Ok::<_, StoreError>((session.access_token(hash, now)?, session.token(hash)?))
    });
    let (held, personal) = held.expect("reads");
    assert_eq!(personal, None, "a token that ends is none that does not");
    held
}

#[test]
fn an_approved_code_gives_tokens_once_and_they_open_the_studio_for_an_hour() {
    let scene = three_machines();
    let codes = scene.truth.open_code(&wish(&scene), NOON).expect("opens");
    let pending = scene.truth.redeem_code(&codes.device, NOON);
    assert!(matches!(pending, Err(SignInError::Pending)), "{pending:?}");
    let typed = codes.user.to_lowercase().replace('-', " ");
    for (at, found) in [(0, true), (1, false)] {
        let decided = scene
            .truth
            .decide_code((&typed, Decision::Approve), after(at));
        assert_eq!(
            decided.expect("decides").is_some(),
            found,
            "a code takes one word"
        );
    }
    let tokens = scene.truth.redeem_code(&codes.device, after(5_000));
    let tokens = tokens.expect("gives tokens");
    let again = scene.truth.redeem_code(&codes.device, after(10_000));
    assert!(matches!(again, Err(SignInError::Expired)), "{again:?}");
    let grantee = holder(&scene, &tokens, after(6_000)).expect("is known");
    assert_eq!(grantee.studio, scene.studio);
    assert_eq!(grantee.device, Some(scene.machines[0].device));
    assert_eq!(grantee.scopes, [Scope::Carry]);
    assert_eq!(holder(&scene, &tokens, after(5_000 + ACCESS_MS)), None);
}

#[test]
fn a_code_ends_by_a_no_and_by_time() {
    let scene = three_machines();
    let codes = scene.truth.open_code(&wish(&scene), NOON).expect("opens");
    let decided = scene.truth.decide_code((&codes.user, Decision::Deny), NOON);
    assert!(decided.expect("decides").is_some());
    let denied = scene.truth.redeem_code(&codes.device, NOON);
    assert!(matches!(denied, Err(SignInError::Denied)), "{denied:?}");
    let codes = scene.truth.open_code(&wish(&scene), NOON).expect("opens");
    let late = after(CODE_MS);
    let decided = scene
        .truth
        .decide_code((&codes.user, Decision::Approve), late);
    assert_eq!(decided.expect("decides"), None);
    let expired = scene.truth.redeem_code(&codes.device, late);
    assert!(matches!(expired, Err(SignInError::Expired)), "{expired:?}");
}

#[test]
fn whoever_asks_too_early_waits_longer_from_then_on() {
    let scene = three_machines();
    let codes = scene.truth.open_code(&wish(&scene), NOON).expect("opens");
    let ask = |ms| scene.truth.redeem_code(&codes.device, after(ms));
    assert!(matches!(ask(0), Err(SignInError::Pending)));
    assert!(matches!(ask(1_999), Err(SignInError::SlowDown)));
    // Two seconds, and five more since that one.
    assert!(matches!(ask(8_998), Err(SignInError::SlowDown)));
    assert!(matches!(ask(20_998), Err(SignInError::Pending)));
    assert!(matches!(ask(32_997), Err(SignInError::SlowDown)));
}

#[test]
fn strangers_fill_their_own_room_only_and_a_machine_has_one_code() {
    let scene = three_machines();
    let stranger = Wish {
        proven: false,
        ..wish(&scene)
    };
    let opened: Vec<_> = (0..STRANGERS)
        .map(|_| scene.truth.open_code(&stranger, NOON).expect("opens"))
        .collect();
    let refused = scene.truth.open_code(&stranger, NOON);
    assert!(matches!(refused, Err(SignInError::TooMany)), "{refused:?}");
    let first = scene.truth.open_code(&wish(&scene), NOON).expect("opens");
    let second = scene.truth.open_code(&wish(&scene), NOON).expect("opens");
    let other = Wish {
        device: Some(DeviceId([9; 16])),
        ..wish(&scene)
    };
    scene.truth.open_code(&other, NOON).expect("opens");
    let gone = scene.truth.redeem_code(&first.device, NOON);
    assert!(matches!(gone, Err(SignInError::Expired)), "{gone:?}");
    for codes in [&second, &opened[0]] {
        let held = scene.truth.redeem_code(&codes.device, NOON);
        assert!(matches!(held, Err(SignInError::Pending)), "{held:?}");
    }
    let later = scene.truth.open_code(&stranger, after(CODE_MS));
    assert!(later.is_ok(), "{later:?}");
}

#[test]
fn a_refresh_token_that_was_used_ends_the_sign_in_for_whoever_has_it() {
    let scene = three_machines();
    let first = signed_in(&scene);
    let second = scene
        .truth
        .refresh(&first.refresh, after(1))
        .expect("renews");
    assert_eq!(
        holder(&scene, &first, after(2)),
        None,
        "the one before is void"
    );
    assert!(holder(&scene, &second, after(2)).is_some());
    let third = scene
        .truth
        .refresh(&second.refresh, after(2))
        .expect("renews");
    let reused = scene.truth.refresh(&first.refresh, after(3));
    assert!(matches!(reused, Err(SignInError::Reused)), "{reused:?}");
    assert_eq!(holder(&scene, &third, after(4)), None);
    let ended = scene.truth.refresh(&third.refresh, after(4));
    assert!(matches!(ended, Err(SignInError::Ended)), "{ended:?}");
}

#[test]
fn a_lost_answer_may_be_asked_for_again_and_what_it_held_is_void() {
    let scene = three_machines();
    let first = signed_in(&scene);
    let lost = scene
        .truth
        .refresh(&first.refresh, after(1))
        .expect("renews");
    let again = scene
        .truth
        .refresh(&first.refresh, after(2))
        .expect("renews");
    assert_eq!(holder(&scene, &lost, after(3)), None);
    assert!(holder(&scene, &again, after(3)).is_some());
    // Whoever has the lost answer after all is one too many.
    let reused = scene.truth.refresh(&lost.refresh, after(3));
    assert!(matches!(reused, Err(SignInError::Reused)), "{reused:?}");
    assert_eq!(holder(&scene, &again, after(3)), None);

    let first = signed_in(&scene);
    scene
        .truth
        .refresh(&first.refresh, after(1))
        .expect("renews");
    let late = scene.truth.refresh(&first.refresh, after(1 + REPEAT_MS));
    assert!(matches!(late, Err(SignInError::Reused)), "{late:?}");
}

#[test]
fn a_refresh_token_ends_by_time_and_a_sign_in_by_its_name() {
    let scene = three_machines();
    let tokens = signed_in(&scene);
    let late = scene.truth.refresh(&tokens.refresh, after(REFRESH_MS));
    assert!(matches!(late, Err(SignInError::Ended)), "{late:?}");
    let tokens = signed_in(&scene);
    let ended = scene.truth.store.write(|session| {
        let all = session.sign_ins()?;
        assert_eq!(all.len(), 1);
        session.end_sign_in_named(&all[0].id)
    });
    assert!(ended.expect("ends"));
    assert_eq!(holder(&scene, &tokens, NOON), None);
    let ended = scene.truth.refresh(&tokens.refresh, NOON);
    assert!(matches!(ended, Err(SignInError::Ended)), "{ended:?}");
}
