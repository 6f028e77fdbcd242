//! What recurrent layers are, from the parameters `ssm.*`.

use farthing_kernels::recurrence::Sharing;

use crate::blocks::{DeltaNetShape, Mamba2Shape, MambaShape, RecurrentShape};
use crate::description::{Description, Mixing};
use crate::error::Result;
use crate::params::Params;

/// Makes the layers recurrent that have no attention and, by their place, are to be.
pub fn mix(about: &mut Description, shape: RecurrentShape, recurrent: impl Fn(usize) -> bool) {
    for (i, layer) in about.layers.iter_mut().enumerate() {
        if layer.mixing == Mixing::Nothing && recurrent(i) {
            layer.mixing = Mixing::Recurrent(shape);
        }
    }
}

/// A selective scan.
pub fn mamba(params: &Params) -> Result<RecurrentShape> {
    let unit_norms = params.or("ssm.dt_b_c_rms", false)?;
    Ok(RecurrentShape::Mamba(MambaShape {
        inner: params.size("ssm.inner_size")?,
        size: params.size("ssm.state_size")?,
        rank: params.size("ssm.time_step_rank")?,
        kernel: params.size("ssm.conv_kernel")?,
        unit_norms: unit_norms
            .then(|| params.get("attention.layer_norm_rms_epsilon"))
            .transpose()?,
    }))
}

/// Heads with a decay each.
pub fn mamba2(params: &Params) -> Result<RecurrentShape> {
    let (heads, value, groups) = heads(params)?;
    Ok(RecurrentShape::Mamba2(Mamba2Shape {
        heads,
        value,
        groups,
        key: params.size("ssm.state_size")?,
        kernel: params.size("ssm.conv_kernel")?,
    }))
}

/// The gated delta rule.
pub fn delta_net(params: &Params, sharing: Sharing) -> Result<RecurrentShape> {
    let (heads, value, groups) = heads(params)?;
    Ok(RecurrentShape::DeltaNet(DeltaNetShape {
        heads,
        value,
        groups,
        sharing,
        key: params.size("ssm.state_size")?,
        kernel: params.size("ssm.conv_kernel")?,
    }))
}

/// Heads, the values of each, and groups of heads.
fn heads(params: &Params) -> Result<(usize, usize, usize)> {
    let (heads, inner) = (params.size("ssm.time_step_rank")?, params.size("ssm.inner_size")?);
    let groups = params.size_or("ssm.group_count", 1)?;
    if !inner.is_multiple_of(heads) {
        let wanted = format!("a multiple of the {heads} heads in ssm.time_step_rank");
        return Err(params.wrong("ssm.inner_size", inner, wanted));
    }
    if !heads.is_multiple_of(groups) {
        let wanted = format!("a divisor of the {heads} heads in ssm.time_step_rank");
        return Err(params.wrong("ssm.group_count", groups, wanted));
    }
    Ok((heads, inner / heads, groups))
}
