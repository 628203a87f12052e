use super::*;
use crate::bindings::fleet::Route;

fn route(targets: &[&str], fallbacks: &[&str]) -> Route {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Route {
        targets: owned(targets),
        fallbacks: owned(fallbacks),
        ..Route::default()
    }
}

fn put(name: &str, route: Route) -> FleetCommand {
    FleetCommand::PutRoute {
        name: name.to_owned(),
        route,
    }
}

#[test]
fn a_route_is_put_shown_replaced_and_deleted() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let fast = route(&["llama"], &[]);
    let (answer, messages) = settle(&mut rig, &put("fast", fast.clone()));
    assert_eq!(
        answer,
        FleetAnswer::Route {
            route: fast.clone()
        }
    );
    assert_eq!(
        audit(&messages),
        audited("admin", "route.put", "fast", "to llama")
    );
    assert_eq!(version(&mut rig), before + 1);
    assert_eq!(settle(&mut rig, &put("fast", fast)).1, []);

    let narrow = route(&["a"], &["llama"]);
    let (_, messages) = settle(&mut rig, &put("fast", narrow.clone()));
    assert_eq!(audit(&messages).3, "to a, else llama");
    rig.evict();
    let named = || "fast".to_owned();
    assert_eq!(
        ask(&mut rig, &FleetCommand::Route { name: named() }),
        FleetAnswer::Route {
            route: narrow.clone()
        }
    );
    assert_eq!(
        ask(&mut rig, &FleetCommand::Routes),
        FleetAnswer::Routes {
            routes: [(named(), narrow)].into()
        }
    );

    let delete = FleetCommand::DeleteRoute { name: named() };
    let (answer, messages) = settle(&mut rig, &delete);
    assert_eq!(answer, FleetAnswer::Done);
    assert_eq!(
        audit(&messages),
        audited("admin", "route.deleted", "fast", "")
    );
    assert_eq!(version(&mut rig), before + 3);
    for command in [delete, FleetCommand::Route { name: named() }] {
        assert_eq!(settle(&mut rig, &command), (FleetAnswer::NotFound, vec![]));
    }
    assert_eq!(rig.count("routes"), 0);
}

#[test]
fn a_route_to_nowhere_changes_nothing() {
    let mut rig = fleet_with(&["a"]);
    let before = version(&mut rig);
    let (answer, messages) = settle(&mut rig, &put("fast", route(&["mixtral"], &[])));
    assert_eq!(invalid(&answer), Some("targets"));
    assert_eq!(messages, []);
    assert_eq!(version(&mut rig), before);
}
