"""The innermost loops of the search with vector registers told one by one, and plain twins of them with the same bits.

A compiler that meets a loop of a few vectors in memory spends more on entering and leaving it than on its sums, and
writes what it could keep in registers. Here instructions are written out: a vector loaded serves several rows, and sums
stay in registers. All sums add in one order, whatever the width of registers: products of a block row by row, from its
first pixel to its last, multiplied and added in one step where the processor can. So the twins tell the same to the
last bit. They take over where vectors cannot be had.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from xoffset._kernels._jit import fused_kernel, lean_kernel
from xoffset._kernels.matching.surface import LOWEST, ONE_VALUE
from xoffset._kernels.matching.twins import BLOCK, LANES, plain_cut, plain_lags, plain_products, plain_scores

with contextlib.suppress(ImportError):  # another numba: see `_are_at_hand`
    from llvmlite import binding, ir
    from numba import types
    from numba.core import cgutils, config, errors
    from numba.core.registry import cpu_target
    from numba.extending import intrinsic

# Vectors of a strip: those of as many rows as below stay in registers.
ABREAST = 3
# Rows of a block that a vector loaded serves. With three vectors each, and those loaded, they fill the 16 registers of
# AVX2; AVX-512 has twice as many, and fives leave nothing over where they divide the side.
ROWS = 4
MOST_ROWS = 5
# Shifts along y of which all sums of a vector stay in registers at a time.
FEW_SHIFTS = 7


# ------------------------------------------------------------------------------------------------------------ vectors


class _Writer:
    """Writes vector instructions at the place where a kernel is being compiled."""

    def __init__(self, builder: Any, element: Any) -> None:
        self.builder, self.element = builder, element
        self.item = 8 if isinstance(element, ir.DoubleType) else 4

    def parts(self, units: int) -> list[tuple[int, Any]]:
        """First lane and type of the vectors that hold units·LANES numbers, of whole registers as far as they go."""
        most = _register() // self.item
        starts = range(0, units * LANES, most)
        return [(start, ir.VectorType(self.element, min(most, units * LANES - start))) for start in starts]

    def place(self, base: Any, index: Any, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(base, [index]), kind.as_pointer())

    def load(self, base: Any, index: Any, kind: Any) -> Any:
        return self.builder.load(self.place(base, index, kind), align=self.item)

    def store(self, vector: Any, base: Any, index: Any) -> None:
        self.builder.store(vector, self.place(base, index, vector.type), align=self.item)

    def sum(self, *numbers: Any) -> Any:
        """Of indices; those that are known already may be ints."""
        kind = next(each.type for each in numbers if not isinstance(each, int))
        total = None
        for each in numbers:
            index = ir.Constant(kind, each) if isinstance(each, int) else each
            total = index if total is None else self.builder.add(total, index)
        return total

    def spread(self, value: Any, kind: Any) -> Any:
        """One number in all lanes."""
        if not isinstance(value, ir.Value):
            return ir.Constant(kind, [value] * kind.count)
        whole, nothing = ir.IntType(32), ir.Constant(kind, ir.Undefined)
        alone = self.builder.insert_element(nothing, value, ir.Constant(whole, 0))
        return self.builder.shuffle_vector(alone, nothing, ir.Constant(ir.VectorType(whole, kind.count), None))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a·b + c, in one step where the processor can."""
        name = f"llvm.fmuladd.v{a.type.count}f{8 * self.item}"
        function = ir.FunctionType(a.type, 3 * [a.type])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function, name), [a, b, c])

    def total(self, vectors: list[Any]) -> Any:
        """Sum of the lanes of one vector or two: of those half of all lanes apart first."""
        found = vectors[0] if len(vectors) == 1 else self.builder.fadd(*vectors)
        while found.type.count > 1:
            half = found.type.count // 2
            kind = ir.VectorType(ir.IntType(32), half)
            low, high = (
                self.builder.shuffle_vector(found, found, ir.Constant(kind, list(range(first, first + half))))
                for first in (0, half)
            )
            found = self.builder.fadd(low, high)
        return self.builder.extract_element(found, ir.Constant(ir.IntType(32), 0))

    def choose(self, comparison: str, a: Any, b: Any, yes: Any, no: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered(comparison, a, b), yes, no)


def _register() -> int:
    """Bytes of a vector register of the processor that numba compiles for."""
    return 64 if "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2] else 32


def _are_at_hand() -> bool:
    """Whether vectors can be had: instructions of all kinds are written once, to see.

    Not where kernels run as plain Python, nor where what they read is to be checked.
    """
    try:
        settings: Any = config  # numba makes its attributes when it is imported
        if settings.DISABLE_JIT or settings.BOUNDSCHECK or not callable(intrinsic):
            return False
        module, element = ir.Module(), ir.FloatType()
        kind = ir.FunctionType(ir.VoidType(), [element.as_pointer(), ir.IntType(64)])
        builder = ir.IRBuilder(ir.Function(module, kind, "probe").append_basic_block())
        base, index = builder.function.args
        write = _Writer(builder, element)
        for start, each in write.parts(ABREAST):
            total = cgutils.alloca_once(builder, each)
            builder.store(ir.Constant(each, None), total)
            with cgutils.for_range(builder, index) as loop:
                seen = write.load(base, write.sum(loop.index, start), each)
                found = write.multiply_add(write.spread(builder.load(base), each), seen, builder.load(total))
                builder.store(write.choose("<", found, seen, found, write.spread(1.0, each)), total)
            write.store(builder.load(total), base, index)
        builder.ret_void()
        binding.parse_assembly(str(module)).verify()
    except Exception:  # whatever is missing, there are the twins
        return False
    return True


def _strips(builder: Any, units: Any, item: int, write_strip: Callable[[int], None]) -> None:
    """Write the code of a strip for each number of units that it may have."""
    for count in range(1, UNITS[item // 8] + 1):
        with builder.if_then(builder.icmp_signed("==", units, ir.Constant(units.type, count))):
            write_strip(count)


def _require_rows(*arrays: Any) -> None:
    """Refuse arrays whose rows are not in one piece, or that differ in type: their pixels would be mixed up."""
    if any(each.layout != "C" or each.dtype != arrays[0].dtype for each in arrays):
        raise errors.TypingError(f"vectors need arrays of one type in C order; got {arrays}. Copy those that are not.")


def _add_rows(rows: int) -> Callable[..., Any]:
    """Typing and code of what adds some rows of a block to a strip of its products.

    A row of the other image meets all of them at as many shifts along y.
    """

    def typing(context, out, column, units, lanes, shifts, second, top, left, pixels, size):
        whole = types.intp
        _require_rows(out, second, pixels)
        return types.void(out, whole, whole, whole, whole, second, whole, whole, pixels, whole), write_all

    def write_all(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, image, source = (context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 5, 8))
        column, units, lanes, shifts, top, left, size = (args[k] for k in (1, 2, 3, 4, 6, 7, 9))
        write = _Writer(builder, context.get_value_type(signature.args[0].dtype))
        pitch = builder.sdiv(builder.extract_value(image.strides, 0), ir.Constant(size.type, write.item))

        def write_strip(count: int) -> None:
            parts = write.parts(count)
            held = [[cgutils.alloca_once(builder, kind) for _, kind in parts] for _ in range(rows)]

            def meet(row: Any, first: int, last: int) -> None:
                """One row of the image; held[i], first <= i <= last, is the sum of shift row - i."""
                for i in range(last, max(first, 1) - 1, -1):
                    for before, total in zip(held[i - 1], held[i], strict=True):
                        builder.store(builder.load(before), total)
                here = builder.add(builder.mul(row, lanes), column)
                for total, (start, kind) in zip(held[0], parts, strict=True) if first == 0 else ():
                    builder.store(write.load(out.data, write.sum(here, start), kind), total)
                line = write.sum(builder.mul(builder.add(top, row), pitch), left, column)
                with cgutils.for_range(builder, size) as loop:
                    seen = [write.load(image.data, write.sum(line, loop.index, start), kind) for start, kind in parts]
                    pixels = builder.mul(loop.index, ir.Constant(size.type, rows))
                    for i in range(first, last + 1):
                        pixel = builder.load(builder.gep(source.data, [write.sum(pixels, i)]))
                        for vector, total in zip(seen, held[i], strict=True):
                            found = write.multiply_add(write.spread(pixel, vector.type), vector, builder.load(total))
                            builder.store(found, total)
                there = builder.sub(here, builder.mul(lanes, ir.Constant(size.type, rows - 1)))
                for total, (start, _) in zip(held[-1], parts, strict=True) if last == rows - 1 else ():
                    write.store(builder.load(total), out.data, write.sum(there, start))

            for row in range(rows - 1):
                meet(ir.Constant(size.type, row), 0, row)
            limits = (ir.Constant(size.type, rows - 1), shifts, ir.Constant(size.type, 1))
            with cgutils.for_range_slice(builder, *limits, size.type) as (row, _):
                meet(row, 0, rows - 1)
            for row in range(1, rows):
                meet(write.sum(shifts, row - 1), row, rows - 1)

        _strips(builder, units, write.item, write_strip)
        return context.get_dummy_value()

    return typing


def _few_shifts(context, out, column, lanes, shifts, first, y, x, second, top, left, size):
    """Typing and code of the products of a block for one unit of lanes and up to FEW_SHIFTS shifts along y."""

    def write_all(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, source, image = (context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 4, 7))
        column, lanes, shifts, y, x, top, left, size = (args[k] for k in (1, 2, 3, 5, 6, 8, 9, 10))
        write = _Writer(builder, context.get_value_type(signature.args[0].dtype))
        item = ir.Constant(size.type, write.item)
        pitch, pitch_of_other = (builder.sdiv(builder.extract_value(each.strides, 0), item) for each in (source, image))
        parts = write.parts(1)
        for count in range(1, FEW_SHIFTS + 1):
            with builder.if_then(builder.icmp_signed("==", shifts, ir.Constant(size.type, count))):
                held = [[cgutils.alloca_once(builder, kind) for _, kind in parts] for _ in range(count)]
                for totals in held:
                    for total, (_, kind) in zip(totals, parts, strict=True):
                        builder.store(ir.Constant(kind, None), total)
                with cgutils.for_range(builder, size) as rows:
                    line = write.sum(builder.mul(builder.add(y, rows.index), pitch), x)
                    other = [builder.mul(write.sum(top, rows.index, s), pitch_of_other) for s in range(count)]
                    other = [write.sum(each, left, column) for each in other]
                    with cgutils.for_range(builder, size) as columns:
                        pixel = builder.load(builder.gep(source.data, [builder.add(line, columns.index)]))
                        for each, totals in zip(other, held, strict=True):
                            for (start, kind), total in zip(parts, totals, strict=True):
                                seen = write.load(image.data, write.sum(each, columns.index, start), kind)
                                found = write.multiply_add(write.spread(pixel, kind), seen, builder.load(total))
                                builder.store(found, total)
                for s, totals in enumerate(held):
                    at = builder.add(builder.mul(lanes, ir.Constant(size.type, s)), column)
                    for (start, _), total in zip(parts, totals, strict=True):
                        write.store(builder.load(total), out.data, write.sum(at, start))
        return context.get_dummy_value()

    whole = types.intp
    _require_rows(out, first, second)
    return types.void(out, whole, whole, whole, first, whole, whole, second, whole, whole, whole), write_all


def _strip_of_scores(
    context, sums, row, stride, count, place, lanes, mean, inverse, totals, inverses, y, x, height, column, units, score
):
    """Typing and code of a strip of scores, over all shifts along y; see `plain_scores`."""

    def write_all(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, totals, inverses, score = (
            context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 8, 9, 15)
        )
        row, stride, count, place, lanes, mean, inverse, y, x, height, column, units = (
            args[k] for k in (1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14)
        )
        write = _Writer(builder, context.get_value_type(signature.args[0].dtype))
        whole = row.type
        item, one = ir.Constant(whole, write.item), ir.Constant(whole, 1)
        pitches = [
            builder.sdiv(builder.extract_value(each.strides, 0), item) for each in (sums, totals, inverses, score)
        ]
        of_sums, of_totals, of_inverses, of_score = pitches
        ahead = builder.mul(stride, of_sums)
        begin = write.sum(builder.mul(row, of_sums), place, column)
        last = builder.sub(builder.extract_value(score.shape, 0), one)

        def write_strip(units: int) -> None:
            parts = write.parts(units)
            highest = [cgutils.alloca_once(builder, kind) for _, kind in parts]
            held = [cgutils.alloca_once(builder, kind) for _, kind in parts]
            for each, (_, kind) in zip(highest, parts, strict=True):
                builder.store(write.spread(LOWEST, kind), each)
            with cgutils.for_range(builder, height) as rows:
                at = builder.add(begin, builder.mul(rows.index, lanes))
                for total, (start, kind) in zip(held, parts, strict=True):
                    builder.store(write.load(sums.data, write.sum(at, start), kind), total)
                with cgutils.for_range_slice(builder, one, count, one, whole) as (k, _):
                    further = builder.add(at, builder.mul(k, ahead))
                    for total, (start, kind) in zip(held, parts, strict=True):
                        seen = write.load(sums.data, write.sum(further, start), kind)
                        builder.store(builder.fadd(builder.load(total), seen), total)
                line, there = builder.add(y, rows.index), builder.add(x, column)
                of_means = builder.add(builder.mul(line, of_totals), there)
                of_scales = builder.add(builder.mul(line, of_inverses), there)
                target = builder.add(builder.mul(rows.index, of_score), column)
                for total, most, (start, kind) in zip(held, highest, parts, strict=True):
                    means = write.load(totals.data, write.sum(of_means, start), kind)
                    scales = write.load(inverses.data, write.sum(of_scales, start), kind)
                    product = write.multiply_add(write.spread(builder.fneg(mean), kind), means, builder.load(total))
                    value = builder.fmul(product, builder.fmul(write.spread(inverse, kind), scales))
                    limit, mark, zero = (write.spread(each, kind) for each in (1.0, ONE_VALUE, 0.0))
                    value = write.choose("<", value, limit, value, limit)
                    value = write.choose(">", scales, zero, value, mark)
                    write.store(value, score.data, write.sum(target, start))
                    before = builder.load(most)
                    builder.store(write.choose(">", value, before, value, before), most)
            target = builder.add(builder.mul(last, of_score), column)
            for most, (start, _) in zip(highest, parts, strict=True):
                write.store(builder.load(most), score.data, write.sum(target, start))

        _strips(builder, units, write.item, write_strip)
        return context.get_dummy_value()

    whole = types.intp
    numbers = (whole,) * 5
    _require_rows(sums, totals, inverses, score)
    return types.void(
        sums, *numbers, mean, inverse, totals, inverses, whole, whole, whole, whole, whole, score
    ), write_all  # fmt: skip


def _rows_less_mean(context, out, pitch, image, y, x, rows, columns, mean):
    """Typing and code of the copy of a window, see `plain_cut`: the last vector of a row ends with it."""

    def write_all(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, source = (context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 2))
        pitch, y, x, rows, columns = (args[k] for k in (1, 3, 4, 5, 6))
        write = _Writer(builder, context.get_value_type(signature.args[0].dtype))
        less, one = context.cast(builder, args[7], mean, signature.args[0].dtype), ir.Constant(rows.type, 1)
        of_image = builder.sdiv(builder.extract_value(source.strides, 0), ir.Constant(rows.type, write.item))

        def write_copy(width: int) -> None:
            kind = ir.VectorType(write.element, width)
            lanes, spread = ir.Constant(rows.type, width), write.spread(less, kind)
            last, whole = builder.sub(columns, lanes), builder.sdiv(builder.sub(columns, one), lanes)
            with cgutils.for_range(builder, rows) as row:
                line = builder.add(builder.mul(builder.add(y, row.index), of_image), x)
                there = builder.mul(row.index, pitch)

                def copy(start: Any) -> None:
                    seen = write.load(source.data, builder.add(line, start), kind)
                    write.store(builder.fsub(seen, spread), out.data, builder.add(there, start))

                with cgutils.for_range(builder, whole) as loop:
                    copy(builder.mul(loop.index, lanes))
                copy(last)

        width, below = _register() // write.item, None
        while width:
            fits = builder.icmp_signed(">=", columns, ir.Constant(rows.type, width))
            if below is not None:
                fits = builder.and_(fits, builder.icmp_signed("<", columns, ir.Constant(rows.type, below)))
            with builder.if_then(fits):
                write_copy(width)
            width, below = width // 2, width
        return context.get_dummy_value()

    whole = types.intp
    _require_rows(out, image)
    return types.void(out, whole, image, whole, whole, whole, whole, mean), write_all


def _block_at_lags(context, out, image, y, x, lag_y, lag_x):
    """Typing and code of `plain_lags`: the rows of the block stay in registers."""

    def write_all(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, image, lag_y, lag_x = (
            context.make_array(signature.args[k])(context, builder, args[k]) for k in (0, 1, 4, 5)
        )
        write, (y, x) = _Writer(builder, context.get_value_type(signature.args[0].dtype)), args[2:4]
        pitch = builder.sdiv(builder.extract_value(image.strides, 0), ir.Constant(y.type, write.item))
        parts = write.parts(1)
        rows = [builder.add(builder.mul(write.sum(y, i), pitch), x) for i in range(BLOCK)]
        own = [[write.load(image.data, write.sum(row, start), kind) for start, kind in parts] for row in rows]
        with cgutils.for_range(builder, builder.extract_value(out.shape, 0)) as loop:
            down, right = (builder.load(builder.gep(each.data, [loop.index])) for each in (lag_y, lag_x))
            away = builder.add(builder.mul(down, pitch), right)
            totals = [write.spread(0.0, kind) for _, kind in parts]
            for row, values in zip(rows, own, strict=True):
                seen = [write.load(image.data, write.sum(row, away, start), kind) for start, kind in parts]
                totals = list(map(write.multiply_add, values, seen, totals))
            builder.store(write.total(totals), builder.gep(out.data, [loop.index]))
        return context.get_dummy_value()

    _require_rows(out, image)
    _require_rows(lag_y, lag_x)
    return types.void(out, image, types.intp, types.intp, lag_y, lag_x), write_all


ARE_AT_HAND = _are_at_hand()
REGISTER = _register() if ARE_AT_HAND else 0
# Most units (LANES numbers each) of a strip: of numbers of 4 bytes, and of 8.
UNITS = tuple(max(1, ABREAST * REGISTER // item // LANES) for item in (4, 8))
_add_four: Any
_add_five: Any
_add_all_shifts: Any
_add_scores: Any
_copy_rows: Any
_add_lags: Any
if ARE_AT_HAND:
    _add_four, _add_five = (intrinsic(_add_rows(rows)) for rows in (ROWS, MOST_ROWS))
    _add_all_shifts, _add_scores = intrinsic(_few_shifts), intrinsic(_strip_of_scores)
    _copy_rows, _add_lags = intrinsic(_rows_less_mean), intrinsic(_block_at_lags)


@lean_kernel
def _take_rows(first, y, x, size, start, done, rows, pixels):
    """Rows of a block from `start` on, side by side, those before `done` as zeros: they count already."""
    for j in range(size):
        for i in range(rows):
            pixels[rows * j + i] = first[y + start + i, x + j] if start + i >= done else 0


@fused_kernel
def vector_products(first, second, y, x, size, shift_y, shift_x, shifts, lanes, pixels, out):
    """As `plain_products`."""
    top, left, units = y + shift_y, x + shift_x, lanes // LANES
    if shifts <= FEW_SHIFTS:
        for column in range(0, lanes, LANES):
            _add_all_shifts(out, column, lanes, shifts, first, y, x, second, top, left, size)
        return
    for d in range(shifts * lanes):
        out[d] = 0
    strips = -(-units // UNITS[out.itemsize // 8])
    rows = MOST_ROWS if REGISTER == 64 and size % MOST_ROWS == 0 else ROWS
    for done in range(0, size, rows):
        start = min(done, size - rows)
        _take_rows(first, y, x, size, start, done, rows, pixels)
        for k in range(strips):
            begin, end = units * k // strips, units * (k + 1) // strips
            if rows == ROWS:
                _add_four(out, begin * LANES, end - begin, lanes, shifts, second, top + start, left, pixels, size)
            else:
                _add_five(out, begin * LANES, end - begin, lanes, shifts, second, top + start, left, pixels, size)


@fused_kernel
def vector_scores(sums, row, stride, count, place, lanes, of_window, totals, inverses, y, x, height, width, score):
    """As `plain_scores`."""
    mean, inverse = of_window
    units = width // LANES
    strips = -(-units // UNITS[score.itemsize // 8])
    for k in range(strips):
        begin, end = units * k // strips, units * (k + 1) // strips
        _add_scores(
            sums, row, stride, count, place, lanes, mean, inverse, totals, inverses, y, x, height, begin * LANES,
            end - begin, score,
        )  # fmt: skip


@fused_kernel
def vector_cut(image, y, x, rows, columns, pitch, mean, out):
    """As `plain_cut`."""
    _copy_rows(out, pitch, image, y, x, rows, columns, mean)


@fused_kernel
def vector_lags(image, y, x, lag_y, lag_x, line, out):
    """As `plain_lags`."""
    _add_lags(out, image, y, x, lag_y, lag_x)


products = vector_products if ARE_AT_HAND else plain_products
scores = vector_scores if ARE_AT_HAND else plain_scores
cut = vector_cut if ARE_AT_HAND else plain_cut
lags = vector_lags if ARE_AT_HAND else plain_lags
