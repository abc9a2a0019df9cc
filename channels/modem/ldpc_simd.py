"""Vectors of 64 signed bytes for numba functions: load, store and the operations of the LDPC decoder.

LLVM maps a vector to the registers of the processor: one of AVX-512, two of AVX2 or four of NEON. Numba caches compiled
functions by the date of their file: after a change here or in `ldpc_rule`, remove `__pycache__`.
"""

# ruff: noqa: ANN001, ANN202, TID253 - numba calls these functions without annotations; this module is imported late

from typing import no_type_check

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic, models, register_model

LANES = 64
"""Bytes of a vector; shorter registers are used two or four at a time."""

_VECTOR = ir.VectorType(ir.IntType(8), LANES)


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="int8x64")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type) -> None:
        super().__init__(manager, fe_type, _VECTOR)


_vector = _Vector()


def _pointer(context, builder, array_type, array, offset):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


@intrinsic
@no_type_check
def load(typingctx, array, offset) -> tuple:
    """Load a vector from `array` at `offset`."""

    def codegen(context, builder, signature, args):
        return builder.load(_pointer(context, builder, signature.args[0], *args), align=1)

    return _vector(array, types.intp), codegen


@intrinsic
@no_type_check
def store(typingctx, array, offset, value) -> tuple:
    """Store the vector `value` to `array` at `offset`."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _pointer(context, builder, signature.args[0], *args[:2]), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), codegen


@intrinsic
@no_type_check
def splat(typingctx, value) -> tuple:
    """Vector with the same value in all lanes."""

    def codegen(context, builder, signature, args):
        byte = builder.trunc(args[0], ir.IntType(8))
        single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), mask)

    return _vector(types.int64), codegen


def _binary(build):
    """Operation on two vectors, from the function that builds its instructions."""

    @intrinsic
    @no_type_check
    def operation(typingctx, first, second):
        def codegen(context, builder, signature, args):
            return build(builder, *args)

        return _vector(_vector, _vector), codegen

    return operation


def _named(name: str):
    def build(builder, first, second):
        function_type = ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR])
        function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v{LANES}i8")
        return builder.call(function, [first, second])

    return _binary(build)


add = _named("sadd.sat")
subtract = _named("ssub.sat")
subtract_to_zero = _named("usub.sat")
minimum = _named("smin")
maximum = _named("smax")
xor = _binary(lambda builder, first, second: builder.xor(first, second))
both = _binary(lambda builder, first, second: builder.and_(first, second))
shift_right = _binary(lambda builder, first, second: builder.lshr(first, second))


@intrinsic
@no_type_check
def choose_equal(typingctx, first, second, if_equal, otherwise) -> tuple:
    """In each lane `if_equal` where `first` equals `second`, else `otherwise`."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.icmp_signed("==", args[0], args[1]), args[2], args[3])

    return _vector(_vector, _vector, _vector, _vector), codegen


@intrinsic
@no_type_check
def choose_negative(typingctx, first, if_negative, otherwise) -> tuple:
    """In each lane `if_negative` where `first` is negative, else `otherwise`."""

    def codegen(context, builder, signature, args):
        negative = builder.icmp_signed("<", args[0], ir.Constant(_VECTOR, [0] * LANES))
        return builder.select(negative, args[1], args[2])

    return _vector(_vector, _vector, _vector), codegen


@intrinsic
@no_type_check
def any_negative(typingctx, value) -> tuple:
    """Whether any lane of a vector is negative."""

    def codegen(context, builder, signature, args):
        negative = builder.icmp_signed("<", args[0], ir.Constant(_VECTOR, [0] * LANES))
        mask = builder.bitcast(negative, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", mask, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(_vector), codegen
