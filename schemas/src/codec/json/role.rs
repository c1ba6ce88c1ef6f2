//! What the mapping makes of each place of a body: for its description, and for where a refusal points.

use super::fault::push_name;
use crate::codec::plan::Plan;
use crate::codec::tree::{Node, Record};
use crate::mapping::{AmountUnit, CurrencySource, FieldKind, PaymentMapping, TimeUnit};

/// One mapped place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Id,
    /// With the unit of a plain integer.
    Time(Option<TimeUnit>),
    Amount(AmountUnit),
    Currency,
    /// Of an entity.
    Key,
    Field(FieldKind),
}

impl Role {
    /// Whether null will not do.
    fn is_required(self) -> bool {
        matches!(self, Role::Id | Role::Time(_) | Role::Amount(_) | Role::Currency)
    }
}

/// The roles, in the order of [`PaymentMapping::paths`].
pub(super) fn roles(mapping: &PaymentMapping) -> Vec<Role> {
    let mut roles = vec![Role::Id, Role::Time(mapping.event_time_unit), Role::Amount(mapping.amount_unit)];
    if matches!(mapping.currency, CurrencySource::Field(_)) {
        roles.push(Role::Currency);
    }
    let keys = mapping.entities.iter().flat_map(|entity| &entity.key);
    roles.extend(keys.map(|_| Role::Key));
    roles.extend(mapping.fields.iter().map(|field| Role::Field(field.kind)));
    roles
}

/// The roles of the value itself, not of what is inside it.
pub(super) fn roles_here(plan: Option<&Plan>, roles: &[Role]) -> Vec<Role> {
    let Some(Plan::Take(places, _) | Plan::Unfit(places)) = plan else { return Vec::new() };
    places.iter().filter_map(|place| roles.get(usize::from(*place)).copied()).collect()
}

/// Whether a payment cannot do without the value, or without something inside it.
pub(super) fn is_needed(plan: Option<&Plan>, roles: &[Role]) -> bool {
    match plan {
        None | Some(Plan::Skip) => false,
        Some(Plan::Take(..) | Plan::Unfit(_)) => roles_here(plan, roles).into_iter().any(Role::is_required),
        Some(Plan::Record(fields)) => fields.iter().any(|plan| is_needed(Some(plan), roles)),
        Some(Plan::Union(branches)) => branches.iter().any(|(_, plan)| is_needed(Some(plan), roles)),
    }
}

/// The plan of a union's branch.
pub(super) fn branch_plan(plan: Option<&Plan>, index: usize) -> Option<&Plan> {
    match plan {
        Some(Plan::Union(branches)) => branches.get(index).map(|(_, plan)| plan),
        _ => None,
    }
}

/// The JSON Pointer of each mapped place; `None` where the schema has no such field.
pub(super) fn pointers(record: &Record, plans: &[Plan], places: usize) -> Vec<Option<String>> {
    let mut pointers = vec![None; places];
    note_record(record, plans, "", &mut pointers);
    pointers
}

fn note_record(record: &Record, plans: &[Plan], above: &str, pointers: &mut [Option<String>]) {
    for (field, plan) in record.fields.iter().zip(plans) {
        let mut pointer = above.to_owned();
        push_name(&mut pointer, &field.name);
        note(&field.node, plan, &pointer, pointers);
    }
}

fn note(node: &Node, plan: &Plan, pointer: &str, pointers: &mut [Option<String>]) {
    match (node, plan) {
        (_, Plan::Take(places, _) | Plan::Unfit(places)) => {
            for place in places {
                if let Some(known @ None) = pointers.get_mut(usize::from(*place)) {
                    *known = Some(pointer.to_owned());
                }
            }
        }
        (Node::Record(record), Plan::Record(plans)) => note_record(record, plans, pointer, pointers),
        (Node::Union(branches), Plan::Union(plans)) => {
            for (branch, (_, plan)) in branches.iter().zip(plans) {
                note(&branch.node, plan, pointer, pointers);
            }
        }
        _ => {}
    }
}
