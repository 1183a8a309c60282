// The recurrence of the sLSTM over sequences that lie end to end: slstm.py says what is computed.
//
// Letters as there: H heads, d width of a head. A thread takes the sequences of one head in blocks of a few, side by side, so that the
// weights are read from the cache once for all of them. Rows of scratch arrays have W numbers for each gate, d filled up to LANES.
#include <initializer_list>

#include "product.h"
#include "slstm_step.h"

namespace {

constexpr long ROWS_AT_ONCE = 64;  // tokens whose gates are made before the recurrence visits them
constexpr long RENEWED = 16;       // steps after which n is moved into the exponent: it shrinks to half of it in a step at most

template <class Real>
struct Problem {
    long sequences;
    const int64_t* begins;  // of each sequence, and the end of the last one
    const int64_t* order;   // the sequences, the longest first
    long heads, width, reverse, block, groups;
    const Real *plain, *convolved;  // (T, H d): z and o are made of the one, i and f of the other
    long plain_row, convolved_row;
    const Real* input[4];           // of z, o, i and f, (H, d, d) each, from the second axis back to the last
    const Real *recurrent, *bias;   // (H, 4 d, d), (4, H, d): gates in the order i, f, z, o
    long stored(long gate) const { return gate ^ 2; }  // where z, o, i or f stands in that order
    long padded_width() const { return padded<Real>(width); }
    long steps_at_once() const { return block < ROWS_AT_ONCE ? ROWS_AT_ONCE / block : 1; }
    long most_rows() const { return steps_at_once() * block; }
};

// A few sequences side by side, and those of their tokens that are worked on: row after row, step by step.
template <class Real>
struct Block {
    const Problem<Real>& p;
    long begins[ROWS_AT_ONCE], lengths[ROWS_AT_ONCE];
    long count, steps, rows = 0;
    long first[ROWS_AT_ONCE + 1];                     // row of each step
    long token[ROWS_AT_ONCE], before[ROWS_AT_ONCE];  // of each row; -1 where none is before it

    Block(const Problem<Real>& p, long number) : p(p) {
        long from = number * p.block;
        count = p.sequences - from < p.block ? p.sequences - from : p.block;
        for (long a = 0; a < count; a++) {
            long s = p.order[from + a];
            begins[a] = p.begins[s];
            lengths[a] = p.begins[s + 1] - p.begins[s];
        }
        steps = count ? lengths[0] : 0;
    }
    long at(long a, long t) const { return p.reverse ? begins[a] + lengths[a] - 1 - t : begins[a] + t; }
    // Takes up to `wanted` steps from `from` on; gives how many.
    long visit(long from, long wanted) {
        rows = 0;
        long taken = steps - from < wanted ? steps - from : wanted;
        for (long t = 0; t < taken; t++) {
            first[t] = rows;
            for (long a = 0; a < count && lengths[a] > from + t; a++, rows++) {
                token[rows] = at(a, from + t);
                before[rows] = from + t ? at(a, from + t - 1) : -1;
            }
        }
        first[taken] = rows;
        return taken;
    }
    void gather(const Real* from, long row, long head, Real* to, const long* which) const {
        const long d = p.width;
        for (long i = 0; i < rows; i++) {
            if (which[i] < 0)
                memset(to + i * d, 0, d * sizeof(Real));
            else
                memcpy(to + i * d, from + which[i] * row + head * d, d * sizeof(Real));
        }
    }
    void scatter(const Real* from, long from_row, Real* to, long row, long head) const {
        for (long i = 0; i < rows; i++) memcpy(to + token[i] * row + head * p.width, from + i * from_row, p.width * sizeof(Real));
    }
};

// out: (T, H d), kept: (T, H, KEPT, d) or none; both written. start, end: (sequences, H, 4, d), the states before the first tokens, and those
// after the last ones, which are written; or none.
template <class Real>
void forward(const Problem<Real>& p, const Real* start, Real* end, Real* out, Real* kept, long threads) {
    const long d = p.width, W = p.padded_width(), most = p.most_rows(), blocks = (p.sequences + p.block - 1) / p.block;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long unit = 0; unit < p.groups * p.heads; unit++) {
        const long head = unit % p.heads;
        Scratch<Real> scratch(8 * d * W + 4 * W + most * (2 * d + 4 * W) + 4 * p.block * W);
        Real *input = scratch.take(4 * d * W), *recurrent = scratch.take(4 * d * W), *bias = scratch.take(4 * W);
        Real *x = scratch.take(most * d), *c = scratch.take(most * d), *gates = scratch.take(most * 4 * W);
        Real *state = scratch.take(4 * p.block * W), *h = state, *r = h + p.block * W, *n = r + p.block * W, *m = n + p.block * W;
        for (long gate = 0; gate < 4; gate++) {
            transpose((int)d, (int)d, p.input[gate] + head * d * d, d, input + gate / 2 * 2 * d * W + gate % 2 * W, 2 * W);
            transpose((int)d, (int)d, p.recurrent + (head * 4 + p.stored(gate)) * d * d, d, recurrent + gate * W, 4 * W);
            memcpy(bias + gate * W, p.bias + (p.stored(gate) * p.heads + head) * d, d * sizeof(Real));
        }
        for (long number = unit / p.heads; number < blocks; number += p.groups) {
            Block<Real> block(p, number);
            memset(state, 0, 3 * p.block * W * sizeof(Real));
            for (long j = 0; j < p.block * W; j++) m[j] = Real(-1e30);
            // Calls move(a state's place in `start` and `end`, in `state`) for all of the block.
            auto each_state = [&](auto move) {
                for (long a = 0; a < block.count; a++)
                    for (long part = 0; part < 4; part++)
                        move(((p.order[number * p.block + a] * p.heads + head) * 4 + part) * d, (part * p.block + a) * W);
            };
            if (start) each_state([&](long from, long to) { memcpy(state + to, start + from, d * sizeof(Real)); });
            for (long from = 0, taken; from < block.steps; from += taken) {
                taken = block.visit(from, p.steps_at_once());
                block.gather(p.plain, p.plain_row, head, x, block.token);
                block.gather(p.convolved, p.convolved_row, head, c, block.token);
                for (long i = 0; i < block.rows; i++) memcpy(gates + i * 4 * W, bias, 4 * W * sizeof(Real));
                product<true>(block.rows, 2 * W, d, x, d, 1, input, 2 * W, gates, 4 * W);
                product<true>(block.rows, 2 * W, d, c, d, 1, input + 2 * d * W, 2 * W, gates + 2 * W, 4 * W);
                for (long t = 0; t < taken; t++) {
                    const long first = block.first[t], running = block.first[t + 1] - first;
                    if (from + t || start) product<true>(running, 4 * W, d, h, W, 1, recurrent, 4 * W, gates + first * 4 * W, 4 * W);
                    for (long a = 0; a < running; a++) {
                        const long token = block.token[first + a] * p.heads + head;
                        Real *now = gates + (first + a) * 4 * W, *own = kept ? kept + token * KEPT * d : nullptr;
                        each_vector<Real>(d, [&](long j, auto width) {
                            const long at = a * W + j;
                            step<Real>(now + j, W, r + at, n + at, m + at, h + at, own ? own + j : nullptr, d, width);
                        });
                        memcpy(out + token * d, h + a * W, d * sizeof(Real));
                    }
                    if ((from + t) % RENEWED) continue;
                    for (long a = 0; a < running; a++)
                        for (long j = a * W; j < a * W + d; j++) m[j] += logarithm(n[j]), n[j] = 1;
                }
            }
            if (end) each_state([&](long to, long from) { memcpy(end + to, state + from, d * sizeof(Real)); });
        }
    }
}

template <class Real>
struct Gradients {
    Real *plain, *convolved;  // (T, H d), written
    Real *input, *recurrent, *bias;  // (groups, 4, H, d, d), and (groups, ...) as in Problem, written
};

// Turned weights of one head, what a chunk of rows works with, and the sums of a unit.
template <class Real>
struct Desk {
    Scratch<Real> scratch;
    Real *input, *recurrent, *x, *c, *h, *gates, *dx, *d_state, *d_ratio, *d_log, *d_h, *d_input, *d_recurrent, *d_bias;

    Desk(const Problem<Real>& p, long head)
        : scratch(16 * p.padded_width() * p.padded_width() + p.most_rows() * (3 * p.width + 5 * p.padded_width()) +
                  (3 * p.block + 4) * p.padded_width() + 4 * p.width * p.padded_width()) {
        const long d = p.width, W = p.padded_width(), most = p.most_rows();
        input = scratch.take(4 * W * W);
        recurrent = scratch.take(4 * W * W);
        for (Real** each : {&x, &c, &h}) *each = scratch.take(most * d);
        gates = scratch.take(most * 4 * W);
        dx = scratch.take(most * W);
        d_state = d_ratio = scratch.take(p.block * W);
        d_log = scratch.take(p.block * W);
        d_h = scratch.take(p.block * W);
        d_input = scratch.take(4 * d * W);
        d_recurrent = scratch.take(4 * d * W);
        d_bias = scratch.take(4 * W);
        for (long gate = 0; gate < 4; gate++) {
            for (long i = 0; i < d; i++) {
                memcpy(input + (gate * W + i) * W, p.input[gate] + (head * d + i) * d, d * sizeof(Real));
                memcpy(recurrent + (gate * W + i) * W, p.recurrent + ((head * 4 + p.stored(gate)) * d + i) * d, d * sizeof(Real));
            }
        }
    }
};

template <class Real>
void backward(const Problem<Real>& p, const Real* out, const Real* kept, const Real* grad, const Gradients<Real>& g, long threads) {
    const long d = p.width, W = p.padded_width(), blocks = (p.sequences + p.block - 1) / p.block, row = p.heads * d;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long unit = 0; unit < p.groups * p.heads; unit++) {
        const long head = unit % p.heads;
        Desk<Real> desk(p, head);
        for (long number = unit / p.heads; number < blocks; number += p.groups) {
            Block<Real> block(p, number);
            memset(desk.d_state, 0, 3 * p.block * W * sizeof(Real));
            const long at_once = p.steps_at_once();
            for (long from = (block.steps - 1) / at_once * at_once; from >= 0; from -= at_once) {
                const long taken = block.visit(from, at_once), rows = block.rows;
                block.gather(p.plain, p.plain_row, head, desk.x, block.token);
                block.gather(p.convolved, p.convolved_row, head, desk.c, block.token);
                block.gather(out, row, head, desk.h, block.before);
                for (long t = taken - 1; t >= 0; t--) {
                    const long first = block.first[t], running = block.first[t + 1] - first;
                    for (long a = 0; a < running; a++) {
                        const long token = block.token[first + a] * p.heads + head, before = block.before[first + a];
                        const Real *own = kept + token * KEPT * d, *last = kept + (before * p.heads + head) * KEPT * d;
                        Real *to = desk.gates + (first + a) * 4 * W;
                        each_vector<Real>(d, [&](long j, auto width) {
                            const long at = a * W + j;
                            Vector<Real> d_h = load(grad + token * d + j, width) + load(desk.d_h + at, width);
                            step_back<Real>(own + j, before < 0 ? nullptr : last + j, d_h, desk.d_ratio + at, desk.d_log + at, to + j, d, W, width);
                        });
                    }
                    if (from + t) product<false>(running, W, 4 * W, desk.gates + first * 4 * W, 4 * W, 1, desk.recurrent, W, desk.d_h, W);
                }
                product<false>(rows, W, 2 * W, desk.gates, 4 * W, 1, desk.input, W, desk.dx, W);
                block.scatter(desk.dx, W, g.plain, row, head);
                product<false>(rows, W, 2 * W, desk.gates + 2 * W, 4 * W, 1, desk.input + 2 * W * W, W, desk.dx, W);
                block.scatter(desk.dx, W, g.convolved, row, head);
                product<true>(d, 2 * W, rows, desk.x, 1, d, desk.gates, 4 * W, desk.d_input, 2 * W);
                product<true>(d, 2 * W, rows, desk.c, 1, d, desk.gates + 2 * W, 4 * W, desk.d_input + 2 * d * W, 2 * W);
                product<true>(d, 4 * W, rows, desk.h, 1, d, desk.gates, 4 * W, desk.d_recurrent, 4 * W);
                for (long i = 0; i < rows; i++)
                    each_vector<Real>(4 * W, [&](long j, auto width) {
                        store(desk.d_bias + j, load(desk.d_bias + j, width) + load(desk.gates + i * 4 * W + j, width), width);
                    });
            }
        }
        const long group = unit / p.heads;
        for (long gate = 0; gate < 4; gate++) {
            const Real* d_input = desk.d_input + gate / 2 * 2 * d * W + gate % 2 * W;
            transpose((int)d, (int)d, d_input, 2 * W, g.input + ((group * 4 + gate) * p.heads + head) * d * d, d);
            transpose((int)d, (int)d, desk.d_recurrent + gate * W, 4 * W, g.recurrent + (unit * 4 + p.stored(gate)) * d * d, d);
            memcpy(g.bias + ((group * 4 + p.stored(gate)) * p.heads + head) * d, desk.d_bias + gate * W, d * sizeof(Real));
        }
    }
}

}  // namespace

#define PROBLEM(Real)                                                                                                          \
    Problem<Real> p{sequences, begins,    order,     heads,         width,        reverse,   block, groups,                     \
                    plain,     convolved, plain_row, convolved_row, {z, o, i, f}, recurrent, bias};
#define SLSTM(Real, suffix)                                                                                                    \
    EXPORT void slstm_forward_##suffix(                                                                                         \
        const Real* plain, const Real* convolved, const Real* z, const Real* o, const Real* i, const Real* f,                   \
        const Real* recurrent, const Real* bias, const int64_t* begins, const int64_t* order, const Real* start, Real* end,     \
        Real* out, Real* kept, long plain_row, long convolved_row, long sequences, long heads, long width, long reverse, long block, long groups,      \
        long threads) {                                                                                                         \
        PROBLEM(Real)                                                                                                           \
        forward<Real>(p, start, end, out, kept, threads);                                                                       \
    }                                                                                                                           \
    EXPORT void slstm_backward_##suffix(                                                                                        \
        const Real* plain, const Real* convolved, const Real* z, const Real* o, const Real* i, const Real* f,                   \
        const Real* recurrent, const Real* bias, const int64_t* begins, const int64_t* order, const Real* out,                  \
        const Real* kept, const Real* grad, Real* d_plain, Real* d_convolved, Real* d_input, Real* d_recurrent, Real* d_bias,   \
        long plain_row, long convolved_row, long sequences, long heads, long width, long reverse, long block, long groups,      \
        long threads) {                                                                                                         \
        PROBLEM(Real)                                                                                                           \
        Gradients<Real> g{d_plain, d_convolved, d_input, d_recurrent, d_bias};                                                  \
        backward<Real>(p, out, kept, grad, g, threads);                                                                         \
    }
SLSTM(float, f32)
SLSTM(double, f64)
