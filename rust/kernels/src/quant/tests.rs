use super::*;
use crate::testing::bytes;

/// 64 blocks of random bytes of each type, and a hash of what the `gguf` Python package makes of
/// them: FNV-1a over the bits of the weights, any NaN being one. `tests/kernels/golden.py` prints
/// the table.
const GOLDEN: &[(&str, u64)] = &[
    ("F32", 0x4b28_4fe4_4341_b180),
    ("F16", 0x4559_74ce_8458_2825),
    ("BF16", 0xece9_4eb6_ffb2_0825),
    ("Q4_0", 0x5ebe_0db8_4ddd_3f25),
    ("Q4_1", 0xab5c_c673_d1e7_2695),
    ("Q5_0", 0x8439_b512_ba66_d525),
    ("Q5_1", 0x09a8_9a7a_d814_0899),
    ("Q8_0", 0x23fd_7686_3541_9125),
    ("Q2_K", 0xad24_2526_374e_7c6a),
    ("Q3_K", 0x21c2_b068_7845_03e5),
    ("Q4_K", 0xe82a_7b9e_d545_6fd8),
    ("Q5_K", 0xfea7_2dd4_aa68_b440),
    ("Q6_K", 0xc92d_e7c0_e205_00bf),
    ("IQ1_S", 0x4152_c243_d4aa_6425),
    ("IQ1_M", 0x8177_4441_4648_76e5),
    ("IQ2_XXS", 0x5b75_3eb0_40bf_a045),
    ("IQ2_XS", 0x0bcd_bc57_576b_cbe5),
    ("IQ2_S", 0xf23c_c5b8_93b9_0249),
    ("IQ3_XXS", 0x7ea6_b7e3_aded_2f9d),
    ("IQ3_S", 0xae97_516c_3ed2_cb35),
    ("IQ4_NL", 0x2fb7_c766_c9ff_7be5),
    ("IQ4_XS", 0x7bd9_2e39_ae04_141f),
    ("MXFP4", 0xf894_affe_b8ae_c325),
    ("NVFP4", 0x4517_f4b7_de4b_6325),
    ("TQ1_0", 0x90cc_4511_778e_a325),
    ("TQ2_0", 0x8e91_a9a8_f251_a325),
];

#[test]
fn weights_mean_what_they_mean_elsewhere() {
    for quant in QUANTS {
        let (_, golden) = GOLDEN
            .iter()
            .find(|(name, _)| *name == quant.name)
            .unwrap_or_else(|| panic!("no golden hash of {}", quant.name));
        let data = bytes(64 * quant.block_bytes, u64::from(quant.ggml_id));
        let mut weights = vec![0.0; 64 * quant.block_len];
        quant.dequantize(&data, &mut weights);
        let hash = weights.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, w| {
            let bits = if w.is_nan() { 0x7fc0_0000 } else { w.to_bits() };
            (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(hash, *golden, "{}", quant.name);
    }
}
