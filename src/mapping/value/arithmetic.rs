//! The operators of expressions, each paid for before it works.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::{Error, ValR, ops::Math};
use jaq_json::{Rc, Val};

use super::{Kind, Metered, bounded, burn_shallow, burn_tree, for_bytes, units};
use crate::mapping::fuel::burn;

/// Calculates, replacing the inner error, which quotes the values, by one that names their kinds.
fn calculate(
    left: Val,
    operation: Math,
    right: Val,
    operator: impl FnOnce(Val, Val) -> Result<Val, Error<Val>>,
) -> ValR<Metered> {
    let kinds = (Kind::of(&left), Kind::of(&right));
    match operator(left, right) {
        Ok(value) => Ok(Metered(bounded(value))),
        Err(_) => Err(Error::math(kinds.0.sample(), operation, kinds.1.sample())),
    }
}

impl Add for Metered {
    type Output = ValR<Self>;

    fn add(self, Self(right): Self) -> ValR<Self> {
        let Self(left) = self;
        match (&left, &right) {
            (Val::Arr(elements), Val::Arr(_)) => {
                burn_tree(&right, 0);
                if Rc::strong_count(elements) > 1 {
                    burn_shallow(&left);
                }
            }
            (Val::Obj(members), Val::Obj(_)) => {
                burn_tree(&right, 0);
                if Rc::strong_count(members) > 1 {
                    burn_shallow(&left);
                }
            }
            _ => {
                burn_shallow(&left);
                burn_shallow(&right);
            }
        }
        calculate(left, Math::Add, right, Add::add)
    }
}

impl Sub for Metered {
    type Output = ValR<Self>;

    fn sub(self, Self(right): Self) -> ValR<Self> {
        if let (Val::Arr(_), Val::Arr(_)) = (&self.0, &right) {
            // Every element of the left is looked up in a sorted set of the right: some comparisons each.
            for _ in 0..8 {
                burn_tree(&self.0, 0);
                burn_tree(&right, 0);
            }
        }
        burn(1);
        calculate(self.0, Math::Sub, right, Sub::sub)
    }
}

impl Mul for Metered {
    type Output = ValR<Self>;

    fn mul(self, Self(right): Self) -> ValR<Self> {
        burn(1);
        match (&self.0, &right) {
            // A number repeats a text: paid before it is made.
            (Val::TStr(text) | Val::BStr(text), Val::Num(times))
            | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
                let Some(times) = times.as_isize() else {
                    return Err(Error::typ(Kind::Number.sample(), "a number of repetitions"));
                };
                burn(for_bytes(text.len().saturating_mul(usize::try_from(times).unwrap_or(0))));
            }
            (Val::Obj(_), Val::Obj(_)) => {
                burn_tree(&self.0, 0);
                burn_tree(&right, 0);
            }
            _ => {}
        }
        calculate(self.0, Math::Mul, right, Mul::mul)
    }
}

impl Div for Metered {
    type Output = ValR<Self>;

    fn div(self, Self(right): Self) -> ValR<Self> {
        burn(1);
        if let (Val::TStr(text), Val::TStr(separator)) = (&self.0, &right) {
            // A number of pieces that is known only afterwards: counted first.
            let pieces = match (std::str::from_utf8(text), std::str::from_utf8(separator)) {
                (Ok(text), Ok(separator)) if !separator.is_empty() => text.matches(separator).count(),
                _ => text.len(),
            };
            burn(for_bytes(text.len()) + units(pieces));
        }
        calculate(self.0, Math::Div, right, Div::div)
    }
}

impl Rem for Metered {
    type Output = ValR<Self>;

    fn rem(self, Self(right): Self) -> ValR<Self> {
        burn(1);
        calculate(self.0, Math::Rem, right, Rem::rem)
    }
}

impl Neg for Metered {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        burn(1);
        let kind = Kind::of(&self.0);
        (-self.0).map(Self).map_err(|_| Error::typ(kind.sample(), "a number"))
    }
}
