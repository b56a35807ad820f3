# Read by generate.py: every operator and attribute that docs/operators.md lists.

x = f(2, 3, 4)
# --- pointwise functions
for kind in "Relu Sigmoid Tanh Erf Exp Softplus Softsign Elu Celu Selu HardSigmoid HardSwish LeakyRelu Mish ThresholdedRelu Shrink Sin Cos Tan Atan Sinh Cosh Asinh Floor Ceil Round Abs Sign Neg Identity".split():
    op(f"unary_{kind}", kind, {"x": x}, opset=18)
for kind in "Log Sqrt Reciprocal".split():
    op(f"unary_{kind}", kind, {"x": f(2, 3, lo=0.2)})
for kind in "Asin Acos Atanh".split():
    op(f"unary_{kind}", kind, {"x": f(2, 3, lo=-0.9, hi=0.9)})
op("unary_Acosh", "Acosh", {"x": f(2, 3, lo=1.1, hi=4)})
op("round_ties", "Round", {"x": np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4], np.float32)})
op("leaky_alpha", "LeakyRelu", {"x": x}, alpha=0.3)
op("elu_alpha", "Elu", {"x": x}, alpha=0.3)
op("celu_alpha", "Celu", {"x": x}, alpha=2.0)
op("selu_attr", "Selu", {"x": x}, alpha=1.5, gamma=2.0)
op("hardsigmoid_attr", "HardSigmoid", {"x": x}, alpha=0.5, beta=0.1)
op("thresholded_attr", "ThresholdedRelu", {"x": x}, alpha=0.3)
op("shrink_attr", "Shrink", {"x": x}, bias=0.2, lambd=0.7)
op("gelu_20", "Gelu", {"x": x}, opset=20)
op("gelu_tanh_20", "Gelu", {"x": x}, opset=20, approximate="tanh")
op("isnan", "IsNaN", {"x": x})
op("isinf", "IsInf", {"x": x})
# --- arithmetic and broadcasting
for kind in "Add Sub Mul Div".split():
    op(f"arith_{kind}_two", kind, {"a": f(2, 3, 4), "b": f(3, 1, lo=0.5)})
    op(f"arith_{kind}_const", kind, {"a": f(2, 3, 4)}, {"b": f(3, 1, lo=0.5)})
    op(f"arith_{kind}_scalar", kind, {"a": f(2, 3, 4)}, {"b": np.float32(1.7)})
    op(f"arith_{kind}_left", kind, {"a": f(2, 3, lo=0.5)}, {"c": np.float32(1.7)}, order=["c", "a"])
    op(f"arith_{kind}_bigger", kind, {"a": f(3)}, {"c": f(2, 2, 3, lo=0.5)})
op("div_int", "Div", {"a": i64(7, -7, 9, 12)}, {"b": i64(2, 2, 4, 5)})
op("div_int_two", "Div", {"a": i64(7, -7, 9, 12), "b": i64(2, 2, 4, 5)})
op("sum3", "Sum", {"a": f(2, 3), "b": f(3), "c": f(1, 3)})
op("mean3", "Mean", {"a": f(2, 3), "b": f(3), "c": f(1, 3)})
op("max3", "Max", {"a": f(2, 3), "b": f(3), "c": f(1, 3)})
op("min3", "Min", {"a": f(2, 3), "b": f(3)}, {"c": np.float32(0.3)})
op("max_zero", "Max", {"a": f(2, 3)}, {"c": np.float32(0)})
op("max_const", "Max", {"a": f(2, 3)}, {"c": f(3)})
op("clip_both", "Clip", {"x": x}, {"lo": np.float32(-0.5), "hi": np.float32(0.8)})
op("clip_low", "Clip", {"x": x}, {"lo": np.float32(-0.5)})
op("clip_high", "Clip", {"x": x}, {"hi": np.float32(0.5)}, order=["x", "", "hi"])
op("clip_six", "Clip", {"x": f(2, 3, lo=-9, hi=9)}, {"lo": np.float32(0), "hi": np.float32(6)})
op("clip_old", "Clip", {"x": x}, opset=10, min=-0.3, max=0.4)
op("prelu", "PRelu", {"x": f(1, 3, 2, 2)}, {"s": f(3, 1, 1)})
op("prelu_uniform", "PRelu", {"x": f(1, 3, 2, 2)}, {"s": f(1)})
for e in (2.0, 3.0, 4.0, 0.5, -0.5, -1.0, 1.0, 1.7, 2.5):
    op(f"pow_{e}".replace(".", "_").replace("-", "m"), "Pow", {"x": f(2, 3, lo=0.3)}, {"e": np.float32(e)})
op("pow_neg_base", "Pow", {"x": f(2, 3)}, {"e": np.float32(2)})
op("pow_base", "Pow", {"x": f(2, 3)}, {"c": np.float32(1.5)}, order=["c", "x"])
op("pow_two", "Pow", {"x": f(2, 3, lo=0.3), "e": f(2, 3)})
op("pow_int", "Pow", {"x": i64(1, 2, 3)}, {"e": i64(2)})
op("mod_int", "Mod", {"x": i64(7, -7, 9, -12)}, {"m": i64(5)})
op("mod_f", "Mod", {"x": f(2, 3, lo=-9, hi=9)}, {"m": np.float32(2.5)}, fmod=1)
for kind in "Less Greater LessOrEqual GreaterOrEqual".split():
    op(f"cmp_{kind}", kind, {"a": np.round(f(2, 3)), "b": np.round(f(3))})
    op(f"cmp_{kind}_c", kind, {"a": np.round(f(2, 3))}, {"b": np.round(f(3))})
    op(f"cmp_{kind}_s", kind, {"a": np.round(f(2, 3))}, {"b": np.float32(1)})
op("equal", "Equal", {"a": i64(1, 2, 3), "b": i64(1, 5, 3)})
op("equal_s", "Equal", {"a": i64(1, 2, 3)}, {"b": i64(2)})
bools = {"a": np.array([0, 0, 1, 1], bool), "b": np.array([0, 1, 0, 1], bool)}
for kind in "And Or Xor".split():
    op(f"logic_{kind}", kind, bools)
op("logic_Not", "Not", {"a": bools["a"]})
op("where_dyn", "Where", {"c": np.array([[True], [False]]), "a": f(2, 3), "b": f(3)})
op("where_const", "Where", {"a": f(2, 3), "b": f(3)}, {"c": np.array([[True, False, True]])}, order=["c", "a", "b"])
op("where_value", "Where", {"c": np.array([True, False, True]), "a": f(2, 3)}, {"v": np.float32(-9)})
op("where_const_inf", "Where", {"a": f(2, 3)}, {"c": np.array([True, False, True]), "v": np.float32(-1e30)}, order=["c", "a", "v"])
op("cast_int", "Cast", {"x": f(2, 3, lo=-5, hi=5)}, to=TensorProto.INT64)
op("cast_bool", "Cast", {"x": np.array([0, 0.5, -2], np.float32)}, to=TensorProto.BOOL)
op("cast_float", "Cast", {"x": i64(1, -2, 3)}, to=TensorProto.FLOAT)
op("dropout", "Dropout", {"x": x})
# --- convolutions
for name, xs, ws, att in [
    ("plain", (1, 3, 7, 6), (4, 3, 3, 3), {}),
    ("stride", (1, 3, 9, 8), (4, 3, 3, 3), dict(strides=[2, 3])),
    ("pad", (1, 3, 7, 6), (4, 3, 3, 3), dict(pads=[1, 0, 2, 1])),
    ("dilation", (1, 2, 9, 9), (3, 2, 3, 3), dict(dilations=[2, 3], pads=[1, 2, 1, 2])),
    ("groups", (1, 4, 6, 6), (6, 2, 3, 3), dict(group=2, pads=[1, 1, 1, 1])),
    ("depthwise", (1, 4, 6, 6), (4, 1, 3, 3), dict(group=4, pads=[1, 1, 1, 1])),
    ("depthwise2", (1, 3, 6, 6), (6, 1, 3, 3), dict(group=3)),
    ("one", (1, 4, 5, 5), (6, 4, 1, 1), {}),
    ("one_stride", (1, 4, 5, 5), (6, 4, 1, 1), dict(strides=[2, 2])),
    ("batch", (2, 3, 6, 6), (4, 3, 2, 3), {}),
    ("same_upper", (1, 2, 7, 8), (3, 2, 3, 4), dict(auto_pad="SAME_UPPER", strides=[2, 2])),
    ("same_lower", (1, 2, 7, 8), (3, 2, 4, 2), dict(auto_pad="SAME_LOWER")),
    ("valid", (1, 2, 7, 8), (3, 2, 4, 2), dict(auto_pad="VALID")),
    ("1d", (1, 3, 10), (4, 3, 3), dict(pads=[1, 1], strides=[2])),
    ("1d_causal", (1, 3, 10), (4, 3, 3), dict(pads=[4, 0], dilations=[2])),
    ("3d", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), dict(strides=[1, 2, 1])),
    ("3d_groups", (1, 4, 4, 5, 6), (4, 2, 2, 3, 2), dict(group=2)),
    ("patch", (1, 3, 8, 8), (5, 3, 4, 4), dict(strides=[4, 4])),
]:
    op(f"conv_{name}", "Conv", {"x": f(*xs)}, {"w": f(*ws)}, **att)
    op(f"conv_{name}_bias", "Conv", {"x": f(*xs)}, {"w": f(*ws), "b": f(ws[0])}, **att)
op("conv_dynamic_weight", "Conv", {"x": f(1, 2, 5, 5), "w": f(3, 2, 3, 3)})
for name, xs, ws, att in [
    ("plain", (1, 3, 4, 5), (3, 2, 3, 3), {}),
    ("stride", (1, 3, 4, 5), (3, 2, 3, 2), dict(strides=[2, 3])),
    ("pad", (1, 3, 4, 5), (3, 2, 4, 4), dict(strides=[2, 2], pads=[1, 1, 1, 1])),
    ("output_padding", (1, 3, 4, 5), (3, 2, 3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])),
    ("groups", (1, 4, 4, 5), (4, 2, 3, 3), dict(group=2, strides=[2, 1])),
    ("dilation", (1, 3, 4, 5), (3, 2, 2, 3), dict(dilations=[2, 2])),
    ("output_shape", (1, 1, 3, 3), (1, 2, 3, 3), dict(strides=[3, 2], output_shape=[10, 8])),
    ("same_upper", (1, 1, 3, 3), (1, 2, 3, 3), dict(strides=[2, 2], auto_pad="SAME_UPPER")),
    ("same_lower", (1, 1, 3, 3), (1, 2, 3, 3), dict(strides=[2, 2], auto_pad="SAME_LOWER")),
    ("overcrop", (1, 2, 6, 6), (2, 2, 2, 2), dict(pads=[2, 2, 2, 2])),
    ("1d", (1, 3, 6), (3, 2, 4), dict(strides=[2], pads=[1, 1])),
]:
    op(f"deconv_{name}", "ConvTranspose", {"x": f(*xs)}, {"w": f(*ws), "b": f(ws[1] * att.get("group", 1))}, **att)
# --- pooling
for name, att in [
    ("plain", dict(kernel_shape=[2, 2], strides=[2, 2])),
    ("overlap", dict(kernel_shape=[3, 3], strides=[2, 2])),
    ("pad", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])),
    ("ceil", dict(kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)),
    ("ceil_pad", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)),
    ("same", dict(kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")),
    ("same_lower", dict(kernel_shape=[2, 2], auto_pad="SAME_LOWER")),
    ("row", dict(kernel_shape=[1, 3])),
]:
    neg = f(1, 2, 8, 7, lo=-3, hi=-1)
    op(f"maxpool_{name}", "MaxPool", {"x": neg}, **att)
    op(f"avgpool_{name}", "AveragePool", {"x": neg}, opset=19, **att)
    op(f"avgpool_{name}_incl", "AveragePool", {"x": neg}, opset=19, count_include_pad=1, **att)
op("maxpool_dilation", "MaxPool", {"x": f(1, 2, 8, 8)}, kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 1, 1, 1])
op("maxpool_1d", "MaxPool", {"x": f(1, 2, 9)}, kernel_shape=[3], strides=[2])
op("maxpool_3d", "MaxPool", {"x": f(1, 2, 4, 5, 6)}, kernel_shape=[2, 2, 2], strides=[2, 1, 2])
op("avgpool_3d", "AveragePool", {"x": f(1, 2, 4, 5, 6)}, kernel_shape=[2, 2, 2], strides=[2, 1, 2])
op("gap", "GlobalAveragePool", {"x": f(1, 3, 4, 5)})
op("gmp", "GlobalMaxPool", {"x": f(1, 3, 4, 5)})
# --- normalisation
op("batchnorm", "BatchNormalization", {"x": f(2, 3, 4, 4)}, {"s": f(3), "b": f(3), "m": f(3), "v": f(3, lo=0.2)}, epsilon=1e-3)
op("batchnorm_2d", "BatchNormalization", {"x": f(2, 3)}, {"s": f(3), "b": f(3), "m": f(3), "v": f(3, lo=0.2)})
op("instancenorm", "InstanceNormalization", {"x": f(2, 3, 4, 4)}, {"s": f(3), "b": f(3)})
op("layernorm", "LayerNormalization", {"x": f(2, 3, 8)}, {"s": f(8), "b": f(8)})
op("layernorm_axis", "LayerNormalization", {"x": f(2, 3, 8)}, {"s": f(3, 8)}, axis=1)
op("groupnorm_21", "GroupNormalization", {"x": f(1, 6, 4, 4)}, {"s": f(6), "b": f(6)}, opset=21, num_groups=3)
op("groupnorm_18", "GroupNormalization", {"x": f(1, 6, 4, 4)}, {"s": f(3), "b": f(3)}, opset=18, num_groups=3)
op("lpnorm_2", "LpNormalization", {"x": f(2, 3, 4)})
op("lpnorm_1", "LpNormalization", {"x": f(2, 3, 4)}, p=1, axis=1)
op("rmsnorm", "RMSNormalization", {"x": f(2, 3, 8)}, {"s": f(8)}, opset=23)
op("mvn", "MeanVarianceNormalization", {"x": f(2, 3, 4, 4)})
op("lrn", "LRN", {"x": f(1, 6, 3, 3)}, size=3, alpha=0.1, beta=0.6, bias=2.0)
for o in (11, 13):
    for ax in (0, 1, 2, -1):
        for kind in "Softmax LogSoftmax Hardmax".split():
            op(f"{kind.lower()}_{o}_{ax}".replace("-", "m"), kind, {"x": f(2, 3, 4)}, opset=o, axis=ax)
    op(f"softmax_default_{o}", "Softmax", {"x": f(2, 3, 4)}, opset=o)
# --- matrices
for name, a, c in [
    ("2d", (3, 4), (4, 5)), ("batch", (2, 3, 4), (2, 4, 5)), ("right", (2, 3, 4), (4, 5)),
    ("left", (3, 4), (2, 4, 5)), ("broadcast", (2, 1, 3, 4), (3, 4, 5)), ("vec_l", (4,), (4, 5)),
    ("vec_r", (3, 4), (4,)), ("vec_vec", (4,), (4,)), ("vec_batch", (4,), (2, 4, 5)), ("batch_vec", (2, 3, 4), (4,)),
    ("one", (1, 1, 3, 4), (1, 1, 4, 5)), ("big", (5, 33), (33, 300)),
]:
    op(f"matmul_{name}", "MatMul", {"a": f(*a), "b": f(*c)})
    op(f"matmul_{name}_rc", "MatMul", {"a": f(*a)}, {"b": f(*c)})
    op(f"matmul_{name}_lc", "MatMul", {"b": f(*c)}, {"a": f(*a)}, order=["a", "b"])
for ta in (0, 1):
    for tb in (0, 1):
        a, c = ((4, 3) if ta else (3, 4)), ((5, 4) if tb else (4, 5))
        op(f"gemm_{ta}{tb}", "Gemm", {"a": f(*a)}, {"b": f(*c), "c": f(5)}, transA=ta, transB=tb, alpha=0.5, beta=2.0)
op("gemm_dyn", "Gemm", {"a": f(3, 4), "b": f(4, 5), "c": f(3, 1)}, alpha=0.5, beta=2.0)
op("gemm_nobias", "Gemm", {"a": f(3, 4)}, {"b": f(4, 5)})
for name, eq, shapes in [
    ("mm", "ij,jk->ik", [(2, 3), (3, 4)]), ("bmm", "bij,bjk->bik", [(2, 2, 3), (2, 3, 4)]),
    ("attn", "bhqd,bhkd->bhqk", [(1, 2, 3, 4), (1, 2, 5, 4)]), ("outer", "i,j->ij", [(3,), (4,)]),
    ("implicit", "ij,jk", [(2, 3), (3, 4)]), ("dot", "i,i->", [(3,), (3,)]), ("transpose", "ij->ji", [(2, 3)]),
    ("sum", "ijk->j", [(2, 3, 4)]), ("two_inner", "aijb,ijc->acb", [(2, 3, 4, 2), (3, 4, 5)]),
    ("ellipsis", "...ij,...jk->...ik", [(2, 2, 3), (2, 3, 4)]), ("three", "ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("hadamard", "ij,ij->ij", [(2, 3), (2, 3)]), ("sumside", "ij,k->i", [(2, 3), (4,)]),
]:
    op(f"einsum_{name}", "Einsum", {f"a{i}": f(*s) for i, s in enumerate(shapes)}, equation=eq)
# --- reductions
for kind in "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ReduceProd".split():
    op(f"{kind.lower()}_13", kind, {"x": f(2, 3, 4)}, {"ax": i64(1)} if kind == "ReduceSum" else {}, opset=13, keepdims=0, **({} if kind == "ReduceSum" else {"axes": [1]}))
    op(f"{kind.lower()}_18", kind, {"x": f(2, 3, 4)}, {"ax": i64(0, -1)}, opset=18)
    op(f"{kind.lower()}_all", kind, {"x": f(2, 3)}, opset=18, keepdims=0)
op("reducelogsum", "ReduceLogSum", {"x": f(2, 3, 4, lo=0.2)}, opset=13, axes=[2])
op("reduce_noop", "ReduceSum", {"x": f(2, 3)}, opset=13, noop_with_empty_axes=1)
for ex in (0, 1):
    for rev in (0, 1):
        op(f"cumsum_{ex}{rev}", "CumSum", {"x": f(2, 5)}, {"a": np.int64(1)}, exclusive=ex, reverse=rev)
op("cumsum_axis0", "CumSum", {"x": f(4, 2, 3)}, {"a": np.int64(0)})
# --- layout
op("reshape", "Reshape", {"x": f(2, 3, 4)}, {"s": i64(0, -1)})
op("reshape_units", "Reshape", {"x": f(2, 3)}, {"s": i64(1, 2, 1, 3)})
op("flatten", "Flatten", {"x": f(2, 3, 4)}, axis=2)
op("flatten0", "Flatten", {"x": f(2, 3, 4)}, axis=0)
op("squeeze", "Squeeze", {"x": f(1, 3, 1, 4)}, {"a": i64(0, 2)})
op("squeeze_all", "Squeeze", {"x": f(1, 3, 1, 4)})
op("squeeze_11", "Squeeze", {"x": f(1, 3, 1, 4)}, opset=11, axes=[-2])
op("unsqueeze", "Unsqueeze", {"x": f(3, 4)}, {"a": i64(0, -1)})
op("unsqueeze_11", "Unsqueeze", {"x": f(3, 4)}, opset=11, axes=[1])
op("transpose", "Transpose", {"x": f(2, 3, 4)}, perm=[2, 0, 1])
op("transpose_default", "Transpose", {"x": f(2, 3, 4)})
op("expand", "Expand", {"x": f(3, 1)}, {"s": i64(2, 1, 4)})
op("tile", "Tile", {"x": f(2, 3)}, {"r": i64(2, 3)})
op("tile_one", "Tile", {"x": f(1, 3)}, {"r": i64(4, 1)})
op("concat", "Concat", {"a": f(2, 3), "b": f(2, 1), "c": f(2, 2)}, axis=-1)
op("concat_const", "Concat", {"a": f(2, 3)}, {"c": f(1, 3)}, axis=0)
op("slice", "Slice", {"x": f(4, 6)}, {"s": i64(1, 0), "e": i64(3, 2**62), "a": i64(0, 1), "t": i64(1, 2)})
op("slice_negative", "Slice", {"x": f(4, 6)}, {"s": i64(-1), "e": i64(-(2**62)), "a": i64(1), "t": i64(-2)})
op("slice_tail", "Slice", {"x": f(4, 6)}, {"s": i64(-3), "e": i64(-1), "a": i64(1)})
op("slice_9", "Slice", {"x": f(4, 6)}, opset=9, starts=[1, 2], ends=[3, 100])
op("split_13", "Split", {"x": f(2, 6)}, {"s": i64(1, 2, 3)}, outputs=("p", "q", "r"), axis=1)
op("split_11", "Split", {"x": f(2, 6)}, opset=11, outputs=("p", "q"), axis=1, split=[4, 2])
op("split_equal", "Split", {"x": f(2, 6)}, outputs=("p", "q", "r"), axis=1)
op("split_18", "Split", {"x": f(2, 7)}, opset=18, outputs=("p", "q", "r"), axis=1, num_outputs=3)
for mode in ("constant", "edge", "reflect", "wrap"):
    op(f"pad_{mode}", "Pad", {"x": f(3, 4)}, {"p": i64(1, 2, 2, 1)}, opset=19, mode=mode)
op("pad_value", "Pad", {"x": f(3, 4)}, {"p": i64(1, 2, 0, 1), "v": np.float32(1.5)})
op("pad_negative", "Pad", {"x": f(3, 4)}, {"p": i64(0, -1, 1, -1)})
op("pad_old", "Pad", {"x": f(3, 4)}, opset=10, pads=[1, 0, 0, 2], value=0.5)
op("pad_axes", "Pad", {"x": f(3, 4)}, {"p": i64(1, 2), "v": np.float32(0), "a": i64(1)}, opset=18)
op("d2s_dcr", "DepthToSpace", {"x": f(1, 8, 2, 3)}, blocksize=2)
op("d2s_crd", "DepthToSpace", {"x": f(1, 8, 2, 3)}, blocksize=2, mode="CRD")
op("s2d", "SpaceToDepth", {"x": f(1, 2, 4, 6)}, blocksize=2)
op("triu", "Trilu", {"x": f(3, 4)}, {"k": np.int64(1)})
op("tril", "Trilu", {"x": f(2, 4, 4)}, upper=0)
# --- formulas as exporters spell them
chain("gelu_erf", [("Div", ["x", "r2"], "a"), ("Erf", ["a"], "b"), ("Add", ["b", "one"], "c"), ("Mul", ["x", "c"], "d"), ("Mul", ["d", "half"], "y")], {"x": f(2, 3)}, {"r2": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)})
chain("gelu_tanh", [("Pow", ["x", "three"], "a"), ("Mul", ["a", "c1"], "b"), ("Add", ["x", "b"], "c"), ("Mul", ["c", "c2"], "d"), ("Tanh", ["d"], "e"), ("Add", ["e", "one"], "g"), ("Mul", ["x", "half"], "h"), ("Mul", ["h", "g"], "y")], {"x": f(2, 3)}, {"three": np.float32(3), "c1": np.float32(0.044715), "c2": np.float32((2 / np.pi) ** 0.5), "one": np.float32(1), "half": np.float32(0.5)})
chain("silu", [("Sigmoid", ["x"], "s"), ("Mul", ["x", "s"], "y")], {"x": f(2, 3)})
chain("mish", [("Softplus", ["x"], "s"), ("Tanh", ["s"], "t"), ("Mul", ["x", "t"], "y")], {"x": f(2, 3)})
chain("hswish", [("HardSigmoid", ["x"], "s", dict(alpha=1 / 6, beta=0.5)), ("Mul", ["x", "s"], "y")], {"x": f(2, 3)})
chain("layernorm_spelled", [("ReduceMean", ["x"], "m", dict(axes=[-1])), ("Sub", ["x", "m"], "d"), ("Pow", ["d", "two"], "q"), ("ReduceMean", ["q"], "v", dict(axes=[-1])), ("Add", ["v", "eps"], "w"), ("Sqrt", ["w"], "s"), ("Div", ["d", "s"], "n"), ("Mul", ["n", "g"], "o"), ("Add", ["o", "b"], "y")], {"x": f(2, 3, 8)}, {"two": np.float32(2), "eps": np.float32(1e-5), "g": f(8), "b": f(8)})
chain("layernorm_channels", [("ReduceMean", ["x"], "m", dict(axes=[1])), ("Sub", ["x", "m"], "d"), ("Mul", ["d", "d"], "q"), ("ReduceMean", ["q"], "v", dict(axes=[1])), ("Add", ["v", "eps"], "w"), ("Sqrt", ["w"], "s"), ("Div", ["d", "s"], "y")], {"x": f(2, 8, 3, 3)}, {"eps": np.float32(1e-5)})
chain("rmsnorm_spelled", [("Mul", ["x", "x"], "q"), ("ReduceMean", ["q"], "v", dict(axes=[-1])), ("Add", ["v", "eps"], "w"), ("Sqrt", ["w"], "s"), ("Reciprocal", ["s"], "r"), ("Mul", ["x", "r"], "n"), ("Mul", ["n", "g"], "y")], {"x": f(2, 3, 8)}, {"eps": np.float32(1e-5), "g": f(8)})
chain("softmax_spelled", [("ReduceMax", ["x"], "m", dict(axes=[-1])), ("Sub", ["x", "m"], "d"), ("Exp", ["d"], "e"), ("ReduceSum", ["e", "ax"], "s"), ("Div", ["e", "s"], "y")], {"x": f(2, 3, 4)}, {"ax": i64(-1)})
chain("conv_bn_relu", [("Conv", ["x", "w"], "c", dict(pads=[1, 1, 1, 1])), ("BatchNormalization", ["c", "s", "b", "m", "v"], "n"), ("Relu", ["n"], "r"), ("Conv", ["r", "w2", "b2"], "d"), ("Add", ["d", "d"], "e"), ("GlobalAveragePool", ["e"], "g"), ("Flatten", ["g"], "y")], {"x": f(1, 3, 6, 6)}, {"w": f(4, 3, 3, 3), "s": f(4), "b": f(4), "m": f(4), "v": f(4, lo=0.2), "w2": f(5, 4, 3, 3), "b2": f(5)})
chain("residual", [("Conv", ["x", "w"], "c", dict(pads=[1, 1, 1, 1])), ("Relu", ["c"], "r"), ("Add", ["r", "x"], "s"), ("MaxPool", ["s"], "y", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))], {"x": f(1, 3, 6, 6)}, {"w": f(3, 3, 3, 3)})
chain("grouped_bn", [("Conv", ["x", "w"], "c", dict(group=2)), ("BatchNormalization", ["c", "s", "b", "m", "v"], "n"), ("Relu", ["n"], "y")], {"x": f(1, 4, 5, 5)}, {"w": f(4, 2, 3, 3), "s": f(4), "b": f(4), "m": f(4), "v": f(4, lo=0.2)})
chain("causal_attention", [("MatMul", ["q", "k"], "s"), ("Mul", ["s", "c"], "t"), ("Where", ["m", "t", "low"], "u"), ("Softmax", ["u"], "p", dict(axis=-1)), ("MatMul", ["p", "v"], "y")], {"q": f(2, 4, 3), "k": f(2, 3, 4), "v": f(2, 4, 3)}, {"c": np.float32(0.5), "m": np.tril(np.ones((4, 4), bool)), "low": np.float32(np.finfo(np.float32).min)})
chain("additive_mask", [("Sub", ["one", "mask"], "i"), ("Mul", ["i", "low"], "m"), ("Add", ["x", "m"], "s"), ("Softmax", ["s"], "y")], {"x": f(2, 3, 4), "mask": np.array([[[1, 1, 0, 1]], [[1, 0, 0, 1]]], np.float32)}, {"one": np.float32(1), "low": np.float32(-10000)})
chain("shape_arithmetic", [("Shape", ["x"], "s"), ("Gather", ["s", "zero"], "b"), ("Unsqueeze", ["b", "ax"], "bu"), ("Concat", ["bu", "minus"], "t", dict(axis=0)), ("Reshape", ["x", "t"], "y")], {"x": f(2, 3, 4)}, {"zero": np.int64(0), "ax": i64(0), "minus": i64(-1)})
chain("range_mask", [("Shape", ["x"], "s"), ("Gather", ["s", "one"], "n"), ("Range", ["z", "n", "o"], "r"), ("Unsqueeze", ["r", "ax"], "c"), ("Less", ["r", "c"], "m"), ("Where", ["m", "x", "low"], "y")], {"x": f(4, 4)}, {"one": np.int64(1), "z": np.int64(0), "o": np.int64(1), "ax": i64(1), "low": np.float32(-5)})
# --- indices
op("gather_const", "Gather", {"x": f(4, 3, 2)}, {"i": np.array([[0, 2], [-1, 1]])}, axis=1)
op("gather_scalar", "Gather", {"x": f(4, 3, 2)}, {"i": np.int64(-1)}, axis=1)
op("gather_dynamic", "Gather", {"i": np.array([[0, 2], [3, 1]])}, {"t": f(4, 5)}, order=["t", "i"])
op("gather_dynamic_axis", "Gather", {"x": f(2, 4, 3), "i": i64(0, 2, 3)}, axis=1)
op("gatherelements", "GatherElements", {"x": f(3, 4)}, {"i": np.array([[0, 2], [-1, 1]])}, axis=1)
op("gatherelements_dynamic", "GatherElements", {"x": f(3, 4), "i": np.array([[0, 2], [3, 1], [1, 1]])}, axis=1)
op("gathernd", "GatherND", {"x": f(2, 3, 4)}, {"i": np.array([[0, 2], [-1, 1]])})
op("gathernd_batch", "GatherND", {"x": f(2, 3, 4)}, {"i": np.array([[1], [0]])}, batch_dims=1)
op("scatternd", "ScatterND", {"x": f(4, 3), "u": f(2, 3)}, {"i": np.array([[3], [1]])}, order=["x", "i", "u"])
op("scatternd_add", "ScatterND", {"x": f(4, 3), "u": f(3, 3)}, {"i": np.array([[3], [1], [3]])}, order=["x", "i", "u"], opset=16, reduction="add")
op("scatterelements", "ScatterElements", {"x": f(3, 4), "u": f(2, 2)}, {"i": np.array([[3, 1], [0, 2]])}, order=["x", "i", "u"], axis=1)
op("onehot", "OneHot", {"i": i64(0, 2, 3)}, {"d": np.int64(4), "v": np.array([0.5, 2], np.float32)})
op("onehot_axis", "OneHot", {"i": np.array([[0, 2], [1, 1]])}, {"d": np.int64(3), "v": np.array([0, 1], np.float32)}, axis=1)
op("compress", "Compress", {"x": f(3, 4)}, {"c": np.array([True, False, True, True])}, axis=1)
op("compress_flat", "Compress", {"x": f(2, 2)}, {"c": np.array([True, False, True, True])})
op("reverse_sequence", "ReverseSequence", {"x": f(4, 2, 3)}, {"l": i64(3, 4)})
for kind in ("ArgMax", "ArgMin"):
    for keep in (0, 1):
        for last in (0, 1):
            op(f"{kind.lower()}_{keep}{last}", kind, {"x": np.round(f(3, 5))}, axis=1, keepdims=keep, select_last_index=last)
op("argmax_axis0", "ArgMax", {"x": f(3, 5)})
for largest in (0, 1):
    op(f"topk_{largest}", "TopK", {"x": np.round(f(3, 6))}, {"k": i64(3)}, outputs=("v", "i"), largest=largest)
op("topk_axis", "TopK", {"x": f(5, 2)}, {"k": i64(2)}, outputs=("v", "i"), axis=0)
chain("nonzero_const", [("NonZero", ["m"], "z"), ("Transpose", ["z"], "t"), ("GatherND", ["x", "t"], "y")], {"x": f(2, 3)}, {"m": np.array([[1, 0, 2], [0, 3, 0]], np.float32)})
chain("embedding", [("Gather", ["t", "i"], "e"), ("Gather", ["p", "r"], "q"), ("Add", ["e", "q"], "s"), ("LayerNormalization", ["s", "g", "b"], "y")], {"i": np.array([[1, 4, 2]])}, {"t": f(6, 8), "p": f(10, 8), "r": np.array([[0, 1, 2]]), "g": f(8), "b": f(8)})
# --- resampling
for mode, transforms in (("nearest", ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")), ("linear", ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")), ("cubic", ("half_pixel", "align_corners", "asymmetric"))):
    for transform in transforms:
        op(f"resize_{mode}_{transform}", "Resize", {"x": f(1, 2, 4, 5)}, {"s": np.array([1, 1, 2, 1.6], np.float32)}, order=["x", "", "s"], mode=mode, coordinate_transformation_mode=transform)
        op(f"resize_{mode}_{transform}_down", "Resize", {"x": f(1, 2, 6, 7)}, {"z": i64(1, 2, 3, 4)}, order=["x", "", "", "z"], mode=mode, coordinate_transformation_mode=transform)
for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
    op(f"resize_nearest_{rounding}", "Resize", {"x": f(1, 1, 4, 4)}, {"z": i64(1, 1, 7, 9)}, order=["x", "", "", "z"], nearest_mode=rounding)
op("resize_axes", "Resize", {"x": f(1, 2, 3, 4)}, {"s": np.array([2, 3], np.float32)}, order=["x", "", "s"], opset=18, axes=[2, 3])
op("resize_10", "Resize", {"x": f(1, 2, 3, 4)}, {"s": np.array([1, 1, 2, 2], np.float32)}, opset=10)
op("upsample_9", "Upsample", {"x": f(1, 2, 3, 4)}, {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9)
op("upsample_linear", "Upsample", {"x": f(1, 2, 3, 4)}, {"s": np.array([1, 1, 2, 2], np.float32)}, opset=9, mode="linear")
# --- quantised
u8, s8 = np.uint8, np.int8
op("quantize", "QuantizeLinear", {"x": f(3, 4, lo=-9, hi=9)}, {"s": np.float32(0.05), "z": u8(120)})
op("quantize_s8", "QuantizeLinear", {"x": f(3, 4, lo=-9, hi=9)}, {"s": np.float32(0.05), "z": s8(3)})
op("quantize_axis", "QuantizeLinear", {"x": f(3, 4)}, {"s": np.array([0.01, 0.02, 0.03], np.float32), "z": np.array([1, 2, 3], u8)}, axis=0)
op("quantize_nozero", "QuantizeLinear", {"x": f(3, 4)}, {"s": np.float32(0.05)})
op("dequantize", "DequantizeLinear", {"q": np.array([[0, 7, 255]], u8)}, {"s": np.float32(0.05), "z": u8(120)})
op("dequantize_weight", "DequantizeLinear", {"q": np.array([[0, 7], [4, -5]], s8)}, {"s": np.array([0.1, 0.3], np.float32), "z": np.array([0, 2], s8)}, axis=1)
chain("qdq_conv", [("QuantizeLinear", ["x", "xs", "xz"], "q"), ("DequantizeLinear", ["q", "xs", "xz"], "d"), ("DequantizeLinear", ["w", "ws", "wz"], "e", dict(axis=0)), ("Conv", ["d", "e"], "c"), ("Relu", ["c"], "y")], {"x": f(1, 2, 4, 4)}, {"xs": np.float32(0.02), "xz": u8(100), "w": rng.integers(-9, 9, (3, 2, 2, 2)).astype(s8), "ws": np.array([0.1, 0.2, 0.3], np.float32), "wz": np.zeros(3, s8)})
op("qlinearconv", "QLinearConv", {"x": rng.integers(0, 255, (1, 2, 5, 5)).astype(u8)}, {"xs": np.float32(0.013), "xz": u8(100), "w": rng.integers(-9, 9, (3, 2, 3, 3)).astype(s8), "ws": np.array([0.11, 0.23, 0.31], np.float32), "wz": np.zeros(3, s8), "ys": np.float32(0.137), "yz": u8(90), "b": np.array([5, -6, 70], np.int32)}, pads=[1, 1, 1, 1])
op("qlinearmatmul", "QLinearMatMul", {"x": rng.integers(0, 255, (3, 4)).astype(u8)}, {"xs": np.float32(0.013), "xz": u8(100), "w": rng.integers(0, 255, (4, 5)).astype(u8), "ws": np.float32(0.11), "wz": u8(128), "ys": np.float32(0.137), "yz": u8(90)})
op("matmulinteger", "MatMulInteger", {"x": rng.integers(0, 255, (3, 4)).astype(u8)}, {"w": rng.integers(0, 255, (4, 5)).astype(u8), "xz": u8(100), "wz": u8(128)})
op("convinteger", "ConvInteger", {"x": rng.integers(0, 255, (1, 2, 5, 5)).astype(u8)}, {"w": rng.integers(0, 9, (3, 2, 3, 3)).astype(u8), "xz": u8(100)}, pads=[1, 1, 1, 1])
# --- recurrent layers
for kind, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
    outs = ("y", "h", "c") if kind == "LSTM" else ("y", "h")
    for direction, d in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
        op(f"{kind.lower()}_{direction}", kind, {"x": f(4, 2, 3)}, {"w": f(d, gates * 5, 3), "r": f(d, gates * 5, 5), "b": f(d, 2 * gates * 5)}, outputs=outs, hidden_size=5, direction=direction)
    op(f"{kind.lower()}_nobias", kind, {"x": f(3, 1, 3)}, {"w": f(1, gates * 4, 3), "r": f(1, gates * 4, 4)}, outputs=outs, hidden_size=4)
    op(f"{kind.lower()}_initial", kind, {"x": f(3, 2, 3), "h0": f(1, 2, 4)}, {"w": f(1, gates * 4, 3), "r": f(1, gates * 4, 4), "b": f(1, 2 * gates * 4)}, order=["x", "w", "r", "b", "", "h0"], outputs=outs, hidden_size=4)
    op(f"{kind.lower()}_lengths", kind, {"x": f(3, 2, 3)}, {"w": f(1, gates * 4, 3), "r": f(1, gates * 4, 4), "b": f(1, 2 * gates * 4), "n": np.array([3, 3], np.int32)}, outputs=outs, hidden_size=4)
op("gru_linear_before_reset", "GRU", {"x": f(4, 2, 3)}, {"w": f(1, 15, 3), "r": f(1, 15, 5), "b": f(1, 30)}, outputs=("y", "h"), hidden_size=5, linear_before_reset=1)
op("rnn_relu", "RNN", {"x": f(3, 2, 3)}, {"w": f(1, 4, 3), "r": f(1, 4, 4)}, outputs=("y", "h"), hidden_size=4, activations=["Relu"])
op("lstm_peepholes", "LSTM", {"x": f(3, 2, 3), "c0": f(1, 2, 4)}, {"w": f(1, 16, 3), "r": f(1, 16, 4), "b": f(1, 32), "p": f(1, 12), "h0": np.zeros((1, 2, 4), np.float32)}, order=["x", "w", "r", "b", "", "h0", "c0", "p"], outputs=("y", "h", "c"), hidden_size=4)
# --- classical models
ML = (("ai.onnx.ml", 3),)


def ensemble(trees, features, targets, mode):
    a = {k: [] for k in "treeids nodeids featureids modes values truenodeids falsenodeids".split()}
    leaves = []
    for t in range(trees):
        count = 0

        def grow(depth):
            nonlocal count
            me = count
            count += 1
            place = len(a["treeids"])
            leaf = depth == 0 or (depth < 3 and rng.random() < 0.3)
            for key, value in dict(treeids=t, nodeids=me, featureids=int(rng.integers(features)), modes="LEAF" if leaf else mode, values=float(np.float32(rng.uniform(-1, 1))), truenodeids=0, falsenodeids=0).items():
                a[key].append(value)
            if leaf:
                leaves.append((t, me))
            else:
                a["truenodeids"][place] = grow(depth - 1)
                a["falsenodeids"][place] = grow(depth - 1)
            return me

        grow(3)
    return {f"nodes_{k}": v for k, v in a.items()}, leaves


for mode in ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"):
    nodes, leaves = ensemble(4, 5, 2, mode)
    op(f"tree_regressor_{mode.lower()}", "TreeEnsembleRegressor", {"x": f(6, 5)}, domain="ai.onnx.ml", domains=ML, n_targets=2, base_values=[0.5, -1.0],
       target_treeids=[t for t, _ in leaves for _ in range(2)], target_nodeids=[i for _, i in leaves for _ in range(2)], target_ids=[0, 1] * len(leaves), target_weights=f(2 * len(leaves)).tolist(), **nodes)
for post in ("NONE", "SOFTMAX", "LOGISTIC"):
    nodes, leaves = ensemble(4, 5, 3, "BRANCH_LEQ")
    op(f"tree_classifier_{post.lower()}", "TreeEnsembleClassifier", {"x": f(6, 5)}, domain="ai.onnx.ml", domains=ML, outputs=("label", "scores"), classlabels_int64s=[10, 20, 30], post_transform=post,
       class_treeids=[t for t, _ in leaves for _ in range(3)], class_nodeids=[i for _, i in leaves for _ in range(3)], class_ids=[0, 1, 2] * len(leaves), class_weights=f(3 * len(leaves)).tolist(), **nodes)
for name, lo, post in (("gradient", -1, "LOGISTIC"), ("gradient_raw", -1, "NONE"), ("forest", 0, "NONE")):
    for cls in (0, 1):
        nodes, leaves = ensemble(4, 5, 1, "BRANCH_LEQ")
        op(f"tree_binary_{name}_{cls}", "TreeEnsembleClassifier", {"x": f(6, 5)}, domain="ai.onnx.ml", domains=ML, outputs=("label", "scores"), classlabels_int64s=[0, 1], post_transform=post,
           class_treeids=[t for t, _ in leaves], class_nodeids=[i for _, i in leaves], class_ids=[cls for _ in leaves], class_weights=[float(rng.uniform(lo, 1) / 4) for _ in leaves], **nodes)
op("tree_average", "TreeEnsembleRegressor", {"x": f(6, 5)}, domain="ai.onnx.ml", domains=ML, n_targets=1, aggregate_function="AVERAGE",
   target_treeids=[t for t, _ in leaves], target_nodeids=[i for _, i in leaves], target_ids=[0 for _ in leaves], target_weights=[float(rng.uniform(-1, 1)) for _ in leaves], **nodes)
op("linear_regressor", "LinearRegressor", {"x": f(3, 4)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),), coefficients=f(8).tolist(), intercepts=[0.5, -0.5], targets=2)
op("linear_classifier", "LinearClassifier", {"x": f(3, 4)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),), outputs=("l", "s"), coefficients=f(12).tolist(), intercepts=[0.5, -0.5, 0.1], classlabels_ints=[3, 5, 7], post_transform="SOFTMAX")
op("linear_classifier_binary", "LinearClassifier", {"x": f(5, 4)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),), outputs=("l", "s"), coefficients=f(8).tolist(), intercepts=[0.5, -0.5], classlabels_ints=[0, 1], post_transform="LOGISTIC")
op("scaler", "Scaler", {"x": f(3, 4)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),), offset=f(4).tolist(), scale=f(4).tolist())
for norm in ("L1", "L2", "MAX"):
    op(f"normalizer_{norm}", "Normalizer", {"x": f(3, 4, lo=0.1)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),), norm=norm)
op("binarizer", "Binarizer", {"x": f(3, 4)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),), threshold=0.3)
op("feature_extractor", "ArrayFeatureExtractor", {"x": f(3, 4)}, {"i": i64(0, 3)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),))
op("feature_extractor_row", "ArrayFeatureExtractor", {"x": f(5)}, {"i": i64(4, 0)}, domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),))
op("feature_extractor_dynamic", "ArrayFeatureExtractor", {"i": np.array([[2, 0, 4]])}, {"t": f(5)}, order=["t", "i"], domain="ai.onnx.ml", domains=(("ai.onnx.ml", 1),))
# --- long sums
op("concat_long", "Concat", {"a": f(1, 2)}, {f"c{i}": f(1, 1) for i in range(3)}, order=["a", "c0", "c1", "c2"] * 40, axis=1)
op("sum_long", "Sum", {"a": f(3), "b": f(3)}, order=["a", "b"] * 50)
# --- the rest
MS = (("com.microsoft", 1),)
op("ms_gelu", "Gelu", {"x": f(2, 3)}, domain="com.microsoft", domains=MS)
op("ms_fastgelu", "FastGelu", {"x": f(2, 3)}, domain="com.microsoft", domains=MS)
op("ms_fusedmatmul", "FusedMatMul", {"a": f(2, 4, 3), "b": f(2, 5, 4)}, domain="com.microsoft", domains=MS, transA=1, transB=1, alpha=0.5)
op("ms_skiplayernorm", "SkipLayerNormalization", {"a": f(2, 3, 8), "b": f(2, 3, 8)}, {"g": f(8), "s": f(8)}, domain="com.microsoft", domains=MS, epsilon=1e-5)
for kind in ("QLinearAdd", "QLinearMul"):
    op(f"ms_{kind.lower()}", kind, {"a": rng.integers(0, 255, (3, 4)).astype(u8), "b": rng.integers(0, 255, (3, 4)).astype(u8)}, {"as": np.float32(0.013), "az": u8(100), "bs": np.float32(0.017), "bz": u8(120), "cs": np.float32(0.029), "cz": u8(110)}, order=["a", "as", "az", "b", "bs", "bz", "cs", "cz"], domain="com.microsoft", domains=MS)
op("simplified_layernorm", "SimplifiedLayerNormalization", {"x": f(2, 3, 8)}, {"g": f(8)})
op("castlike", "CastLike", {"x": f(2, 3, lo=-5, hi=5)}, {"t": i64(1)})
op("swish", "Swish", {"x": f(2, 3)}, opset=24)
op("eyelike", "EyeLike", {"x": f(3, 4)}, k=1)
chain("constantofshape", [("ConstantOfShape", ["s"], "c", dict(value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.5]))), ("Add", ["x", "c"], "y")], {"x": f(3)}, {"s": i64(2, 3)})
chain("size", [("Size", ["x"], "n"), ("Cast", ["n"], "c", dict(to=TensorProto.FLOAT)), ("Div", ["x", "c"], "y")], {"x": f(3, 4)})
chain("constant", [("Constant", [], "c", dict(value_floats=[1.0, 2.0, 3.0])), ("Mul", ["x", "c"], "y")], {"x": f(2, 3)})
chain("sigmoid_spelled", [("Neg", ["x"], "n"), ("Exp", ["n"], "e"), ("Add", ["e", "one"], "a"), ("Div", ["one", "a"], "y")], {"x": f(2, 3)}, {"one": np.float32(1)})
chain("quick_gelu", [("Mul", ["x", "c"], "s"), ("Sigmoid", ["s"], "g"), ("Mul", ["x", "g"], "y")], {"x": f(2, 3)}, {"c": np.float32(1.702)})
chain("rotary", [("Split", ["x"], ["a", "b"], dict(axis=-1)), ("Neg", ["b"], "n"), ("Concat", ["n", "a"], "r", dict(axis=-1)), ("Mul", ["x", "cos"], "p"), ("Mul", ["r", "sin"], "q"), ("Add", ["p", "q"], "y")], {"x": f(1, 2, 4, 6)}, {"cos": f(1, 1, 4, 6), "sin": f(1, 1, 4, 6)})
for o in (11, 13, 17, 21):
    chain(f"block_{o}", [("Conv", ["x", "w"], "c", dict(pads=[1, 1, 1, 1], strides=[2, 2])), ("Relu", ["c"], "r"), ("MaxPool", ["r"], "m", dict(kernel_shape=[2, 2], strides=[2, 2])), ("Flatten", ["m"], "g"), ("Gemm", ["g", "v", "b"], "h", dict(transB=1)), ("Softmax", ["h"], "y", dict(axis=-1))], {"x": f(1, 2, 8, 8)}, {"w": f(3, 2, 3, 3), "v": f(5, 12), "b": f(5)}, opset=o)
# --- norms of windows
for p in (1, 2, 3):
    op(f"lppool_p{p}", "LpPool", {"x": f(1, 2, 6, 7)}, kernel_shape=[2, 3], strides=[2, 1], p=p, opset=18)
op("lppool_pad", "LpPool", {"x": f(1, 2, 6, 7)}, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], opset=18)
op("lppool_1d", "LpPool", {"x": f(1, 2, 9)}, kernel_shape=[3], opset=18)
op("global_lppool", "GlobalLpPool", {"x": f(1, 2, 4, 5)}, p=2)
# --- rotary embeddings and attention as single operators
rotary = {"cos": f(16, 4), "sin": f(16, 4)}
here = {"at": i64(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)[None].reshape(2, 5)}
op("rotary_4d", "RotaryEmbedding", {"x": f(2, 3, 5, 8)}, {**rotary, **here}, opset=23)
op("rotary_4d_interleaved", "RotaryEmbedding", {"x": f(2, 3, 5, 8)}, {**rotary, **here}, opset=23, interleaved=1)
op("rotary_3d", "RotaryEmbedding", {"x": f(2, 5, 24)}, {**rotary, **here}, opset=23, num_heads=3)
op("rotary_partial", "RotaryEmbedding", {"x": f(2, 3, 5, 12)}, {**rotary, **here}, opset=23, rotary_embedding_dim=8)
op("rotary_spread", "RotaryEmbedding", {"x": f(2, 3, 5, 8)}, {"cos": f(2, 5, 4), "sin": f(2, 5, 4)}, opset=23)
op("rotary_computed", "RotaryEmbedding", {"x": f(1, 3, 4, 8), "at": i64(3, 1, 0, 7).reshape(1, 4)}, rotary, opset=23, order=["x", "cos", "sin", "at"])
ms = dict(domain="com.microsoft", domains=(("com.microsoft", 1),))
op("ms_rotary", "RotaryEmbedding", {"x": f(2, 5, 24)}, {**here, **rotary}, **ms)
op("ms_rotary_from", "RotaryEmbedding", {"x": f(1, 3, 5, 8)}, {"at": i64(4), **rotary}, interleaved=1, **ms)
qkv = {"q": f(2, 3, 5, 8), "k": f(2, 3, 6, 8), "v": f(2, 3, 6, 7)}
op("attention_4d", "Attention", qkv, opset=23)
op("attention_scale_cap", "Attention", qkv, opset=23, scale=0.4, softcap=1.5)
op("attention_causal", "Attention", qkv, opset=23, is_causal=1)
op("attention_bias", "Attention", qkv, {"m": f(5, 6)}, opset=23)
op("attention_mask", "Attention", qkv, {"m": rng.random((5, 6)) < 0.6}, opset=23)
op("attention_mask_computed", "Attention", {**qkv, "m": np.array([[1, 1, 0, 1, 0, 1]] * 5, bool)}, opset=23)
op("attention_groups", "Attention", {"q": f(1, 4, 5, 8), "k": f(1, 2, 6, 8), "v": f(1, 2, 6, 8)}, opset=23)
op("attention_3d", "Attention", {"q": f(2, 5, 24), "k": f(2, 6, 24), "v": f(2, 6, 24)}, opset=23, q_num_heads=3, kv_num_heads=3)
op("attention_past", "Attention", {"q": f(1, 2, 3, 8), "k": f(1, 2, 3, 8), "v": f(1, 2, 3, 8)},
   {"pk": f(1, 2, 4, 8), "pv": f(1, 2, 4, 8)}, opset=23, order=["q", "k", "v", "", "pk", "pv"], outputs=("y", "nk", "nv"))
flat = {"q": f(2, 5, 24), "k": f(2, 6, 24), "v": f(2, 6, 24)}
op("mha", "MultiHeadAttention", flat, num_heads=3, **ms)
op("mha_scale", "MultiHeadAttention", flat, num_heads=3, scale=0.7, **ms)
op("mha_bias", "MultiHeadAttention", flat, {"b": f(72)}, num_heads=3, **ms)
op("mha_mask", "MultiHeadAttention", flat, {"m": np.array([[1] * 6, [1, 1, 1, 1, 0, 0]], np.int32)}, order=["q", "k", "v", "", "m"], num_heads=3, **ms)
op("mha_attention_bias", "MultiHeadAttention", flat, {"ab": f(1, 3, 5, 6)}, order=["q", "k", "v", "", "", "ab"], num_heads=3, **ms)
op("mha_causal", "MultiHeadAttention", {"q": f(1, 5, 24), "k": f(1, 5, 24), "v": f(1, 5, 24)}, num_heads=3, unidirectional=1, **ms)
