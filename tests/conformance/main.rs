//! Every vendor's adapter through one suite, against simcloud, over HTTP.
//!
//! A vendor is a row of `vendors/` and a line of `vendors!` below, a test a function of `cases/` and a line of
//! `cases!`. Each test is run for each vendor. None is skipped: one that needs what a vendor cannot do asserts
//! for that vendor that it says so before anything is sent (`ability.rs`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod ability;
mod cases;
mod rig;
mod sim;
mod vendors;

use std::collections::BTreeSet;

use ability::Ability;
use rig::Rig;
use vendors::Row;

/// Makes a module of tests for each vendor.
macro_rules! vendors {
    ($($vendor:ident),* $(,)?) => {
        $(mod $vendor {
            use super::*;
            cases!(&vendors::$vendor::ROW);
        })*

        /// The vendors that the suite is run for.
        static ROWS: &[&Row] = &[$(&vendors::$vendor::ROW),*];
    };
}

/// Makes a test of each case, for one vendor.
macro_rules! cases {
    ($row:expr) => {
        tests! { $row;
            account {
                a_good_credential_counts;
                a_credential_that_the_vendor_does_not_know_is_refused;
                a_credential_that_has_expired_is_refused;
                a_full_credential_has_every_permission_and_checking_changes_nothing;
                a_restricted_credential_is_told_just_what_it_lacks;
                there_is_no_permission_that_is_not_asked_for;
                every_region_is_told_and_those_of_the_settings_are_among_them;
                settings_that_mean_nothing_are_refused_by_name;
            }
            catalogue {
                the_whole_catalogue_is_offered_at_exactly_the_vendors_prices;
                older_prices_beside_the_newest_change_nothing;
                a_price_that_changes_is_offered_as_it_is_now;
                what_is_sold_out_is_told_or_not_told_but_never_told_otherwise;
                a_price_that_is_none_leaves_the_offer_without_one;
                a_piece_that_fails_costs_offers_or_prices_and_makes_up_none;
                a_catalogue_out_of_reach_is_no_catalogue;
                what_a_machine_costs_is_what_its_offer_said;
            }
            machines {
                a_machine_that_was_made_is_found_by_its_id_and_by_its_marker;
                the_list_shows_what_carries_a_marker_and_nothing_else;
                the_same_marker_again_is_the_same_machine_or_both_are_listed;
                a_create_that_made_two_leaves_none_out_of_the_list;
                a_machine_that_never_comes_up_stays_pending_or_running_and_billed;
                a_machine_that_fails_to_come_up_is_told_to_have_failed;
                a_word_for_a_state_that_nobody_knows_is_kept_and_not_guessed_at;
                a_price_of_a_machine_that_is_none_is_no_price;
                a_machine_that_was_ended_by_hand_is_gone;
                a_machine_that_was_given_back_is_gone_and_costs_nothing_any_more;
                giving_back_twice_does_no_harm;
                a_machine_that_never_was_is_not_found_whatever_is_asked_of_it;
                a_machine_that_takes_long_to_end_is_not_told_to_be_gone;
                a_machine_that_never_ends_is_told_to_be_there;
                what_a_machine_is_told_are_its_own_secrets_and_none_of_the_account;
                without_a_callback_a_machine_has_no_token;
                a_machine_that_is_taken_away_is_told_to_be_preempted, Spot;
                a_machine_that_everybody_forgets_ends_when_its_life_is_over, TimeLimit;
                what_runs_on_a_machine_is_reached_where_the_vendor_says, PublicTls;
            }
            outcomes {
                a_create_without_a_clear_answer_is_unclear_and_the_list_tells;
                a_create_that_is_repeated_after_a_lost_reply_makes_one_or_is_seen_to_make_two;
                giving_back_without_a_clear_answer_is_unclear_and_was_done;
                a_stop_or_start_without_a_clear_answer_is_unclear, StopStart;
                a_read_without_a_clear_answer_says_nothing_of_what_is_there;
                a_refused_create_says_who_must_act_and_that_nothing_was_made;
                a_credential_that_ends_in_the_middle_stops_everything_and_changes_nothing;
                too_many_calls_are_told_with_the_time_to_wait_where_the_vendor_names_one;
                a_brown_out_is_nobodys_no;
                words_that_repeat_what_was_sent_come_back_without_it;
            }
            lists {
                a_list_of_nothing_is_whole_and_empty;
                a_list_in_small_pages_is_read_to_its_end;
                pages_that_overlap_lose_nothing;
                a_partial_list_is_an_error_and_never_a_short_list;
                a_list_that_cannot_be_read_is_an_error;
                a_page_that_there_is_not_is_an_error;
                a_list_may_be_old_and_then_only_asking_for_the_machine_tells;
                each_machine_is_in_the_list_of_one_region;
            }
            power {
                a_stopped_machine_keeps_its_disk_and_starts_again_as_the_same, StopStart;
                a_disk_costs_while_its_machine_is_stopped_what_the_offer_said, StopStart;
                a_machine_that_was_stopped_by_hand_is_told_to_be_stopped, StopStart;
                a_start_may_find_no_capacity_and_leaves_the_machine_stopped, StopStart;
                a_machine_that_came_back_without_gpus_is_not_told_to_have_some, StopStart;
                what_is_so_already_is_no_disaster, StopStart;
                a_stop_that_takes_long_is_not_told_to_be_done, StopStart;
            }
            money {
                a_bill_is_the_meters_to_the_micro_dollar, Bills;
                a_bill_that_lags_is_less_and_never_made_up, Bills;
                a_machine_that_there_is_no_record_of_has_no_bill, Bills;
                the_meter_begins_and_ends_at_the_seconds_that_are_told;
            }
        }
    };
}

macro_rules! tests {
    ($row:expr; $($subject:ident { $($case:ident $(, $needs:ident)?;)* })*) => {
        $(mod $subject {
            use super::*;
            $(
                #[test]
                fn $case() {
                    let needs: &[Ability] = &[$(Ability::$needs)?];
                    conform($row, needs, cases::$subject::$case);
                }
            )*
        })*
    };
}

vendors!(runpod, aws);

/// Runs a case where the vendor can do what it is about, and otherwise finds out that it says so.
fn conform(row: &'static Row, needs: &[Ability], case: fn(&mut Rig)) {
    let mut rig = Rig::start(row, needs.contains(&Ability::PublicTls));
    let lacking = needs.iter().find(|ability| !ability.is_of(rig.capability));
    match lacking {
        Some(ability) => ability.lacks(&mut rig),
        None => case(&mut rig),
    }
    rig.finish();
}

#[test]
fn every_vendor_has_a_row() {
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.vendor).collect();
    let all = tidegate_providers::ALL.iter();
    let all: BTreeSet<&str> = all.map(|provider| provider.vendor()).collect();
    assert_eq!(rows, all);
}

#[test]
fn whatever_may_be_needed_some_vendor_has() {
    for ability in Ability::ALL {
        let has = |row: &&&Row| {
            let provider = tidegate_providers::by_name(row.vendor).unwrap();
            ability.is_of(provider.capability())
        };
        assert!(
            ROWS.iter().any(|row| has(&row)),
            "no vendor has {ability:?}: its tests never run"
        );
    }
}
