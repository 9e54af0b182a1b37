//! Which events a subscription is for.

use std::vec;

/// Which kinds of events a subscription is for: one, or several. What is there twice counts once.
///
/// # Examples
/// ```
/// use virtwire::EventIds;
/// use virtwire::enums::DomainEventId;
///
/// fn count(ids: impl Into<EventIds<DomainEventId>>) -> usize {
///     ids.into().into_iter().len()
/// }
/// assert_eq!(count(DomainEventId::LIFECYCLE), 1);
/// assert_eq!(count([DomainEventId::LIFECYCLE, DomainEventId::REBOOT]), 2);
/// assert_eq!(count(EventIds::from_iter(DomainEventId::known())), 30);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventIds<I>(Vec<I>);

impl<I: PartialEq> FromIterator<I> for EventIds<I> {
    fn from_iter<T: IntoIterator<Item = I>>(ids: T) -> Self {
        let mut distinct = Vec::new();
        for id in ids {
            if !distinct.contains(&id) {
                distinct.push(id);
            }
        }
        Self(distinct)
    }
}

impl<I> From<I> for EventIds<I> {
    fn from(id: I) -> Self {
        Self(vec![id])
    }
}

impl<I: PartialEq, const N: usize> From<[I; N]> for EventIds<I> {
    fn from(ids: [I; N]) -> Self {
        ids.into_iter().collect()
    }
}

impl<I: PartialEq> From<Vec<I>> for EventIds<I> {
    fn from(ids: Vec<I>) -> Self {
        ids.into_iter().collect()
    }
}

impl<I: PartialEq + Copy> From<&[I]> for EventIds<I> {
    fn from(ids: &[I]) -> Self {
        ids.iter().copied().collect()
    }
}

impl<I> IntoIterator for EventIds<I> {
    type Item = I;
    type IntoIter = vec::IntoIter<I>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
