// Queries, keys, values and gates of an mLSTM: what headwise.py and the gates' projections do, one after the other while rows are in the cache.
//
// A block-diagonal matrix of blocks of 1, 2 or 4 channels lies as `block` rows of factors: row k holds, for every channel of the result,
// the factor of channel (its own number) xor k. So a product is a few multiplications of whole vectors.
#include <initializer_list>

#include "product.h"

namespace {

constexpr long ROWS_AT_ONCE = 48;

template <class Real>
struct Problem {
    long rows, width, block, gates;
    const Real *convolved, *plain;  // (T, I): queries and keys are made of the one, values of the other
    long convolved_row, plain_row;
    const Real* weights[3];       // of queries, keys and values, (I / block, block, block)
    const Real* gate_weights[2];  // of input and forget gates, (H, 3 I), from queries, keys and values
    const Real* gate_bias[2];     // (H)
    long heads() const { return gates / 2; }
    // Where the factor stands that row k of factors has for channel c.
    long place(long k, long c) const { return c * block + ((c % block) ^ k); }
    void factors(int result, Real* to) const {
        for (long k = 0; k < block; k++)
            for (long c = 0; c < width; c++) to[k * width + c] = weights[result][place(k, c)];
    }
};

template <int K, class Real>
INLINE Vector<Real> exchanged(Vector<Real> x) {
    if constexpr (K % LANES<Real> == 0) return x;
#if defined(__clang__)
    Vector<Real> y;
    for (int i = 0; i < LANES<Real>; i++) y[i] = x[i ^ (K % LANES<Real>)];
    return y;
#else
    auto places = x == x;
    for (int i = 0; i < LANES<Real>; i++) places[i] = i ^ (K % LANES<Real>);
    return __builtin_shuffle(x, places);
#endif
}
// The vector from channel c on of row[c xor K].
template <int K, class Real>
INLINE Vector<Real> load_exchanged(const Real* row, long c) {
    return exchanged<K, Real>(load(row + (c ^ (K / LANES<Real> * LANES<Real>)), Whole{}));
}

// Calls work(K) for each K below BLOCK, at most 4.
template <int K>
struct Number {
    static constexpr int value = K;
};
template <int BLOCK, class Work>
INLINE void each_of_block(Work work) {
    work(Number<0>{});
    if constexpr (BLOCK > 1) work(Number<1>{});
    if constexpr (BLOCK > 2) work(Number<2>{}), work(Number<3>{});
}

// made: queries, keys and values (T, I); gates: (T, G); all written.
template <int BLOCK, class Real>
void forward(const Problem<Real>& p, Real* const* made, Real* gates, long threads) {
    const long I = p.width, G = padded<Real>(p.gates), H = p.heads(), parts = (p.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        Scratch<Real> scratch(3 * I * (G + BLOCK) + ROWS_AT_ONCE * G);
        Real *weights = scratch.take(3 * I * G), *factors = scratch.take(3 * BLOCK * I), *out = scratch.take(ROWS_AT_ONCE * G);
        for (int result = 0; result < 3; result++) {
            p.factors(result, factors + result * BLOCK * I);
            for (int kind = 0; kind < 2; kind++)
                transpose((int)H, (int)I, p.gate_weights[kind] + result * I, 3 * I, weights + result * I * G + kind * H, G);
        }
        for (long part = thread; part < parts; part += threads) {
            const long from = part * ROWS_AT_ONCE, rows = p.rows - from < ROWS_AT_ONCE ? p.rows - from : ROWS_AT_ONCE;
            for (long t = 0; t < rows; t++)
                for (int kind = 0; kind < 2; kind++) memcpy(out + t * G + kind * H, p.gate_bias[kind], H * sizeof(Real));
            for (int result = 0; result < 3; result++) {
                const long row = result < 2 ? p.convolved_row : p.plain_row;
                const Real* x = (result < 2 ? p.convolved : p.plain) + from * row;
                Real* to = made[result] + from * I;
                for (long c = 0; c < I; c += LANES<Real>) {
                    Vector<Real> own[4];
                    for (int k = 0; k < BLOCK; k++) own[k] = load(factors + (result * BLOCK + k) * I + c, Whole{});
                    for (long t = 0; t < rows; t++) {
                        Vector<Real> sum{};
                        each_of_block<BLOCK>([&](auto k) { sum += own[k.value] * load_exchanged<k.value>(x + t * row, c); });
                        store(to + t * I + c, sum, Whole{});
                    }
                }
                product<true>((int)rows, (int)G, (int)I, to, I, 1, weights + result * I * G, G, out, G);
            }
            for (long t = 0; t < rows; t++) memcpy(gates + (from + t) * p.gates, out + t * G, p.gates * sizeof(Real));
        }
    }
}

template <class Real>
struct Gradients {
    const Real *made[3], *gates;               // of queries, keys and values, (T, I), and of the gates, (T, G)
    Real *convolved, *plain;                   // (T, I), written
    Real *weights, *gate_weights, *gate_bias;  // (parts, 3, I, block), (parts, 2, H, 3 I), (parts, G): a part per thread, written
};

// Through one of the three: adds to the gradient of what it is made of unless that is still to be written, and to that of its factors.
template <int BLOCK, bool ADD, class Real>
void through(long rows, long I, const Real* x, long row, const Real* grad, const Real* factors, Real* dx, Real* d_factors) {
    for (long c = 0; c < I; c += LANES<Real>) {
        Vector<Real> turned[4], sums[4];
        each_of_block<BLOCK>([&](auto k) {
            turned[k.value] = load_exchanged<k.value>(factors + k.value * I, c);
            sums[k.value] = load(d_factors + k.value * I + c, Whole{});
        });
        for (long t = 0; t < rows; t++) {
            Vector<Real> d = load(grad + t * I + c, Whole{}), sum{};
            each_of_block<BLOCK>([&](auto k) {
                sum += turned[k.value] * load_exchanged<k.value>(grad + t * I, c);
                sums[k.value] += d * load_exchanged<k.value>(x + t * row, c);
            });
            Real* to = dx + t * I + c;
            store(to, ADD ? load(to, Whole{}) + sum : sum, Whole{});
        }
        for (int k = 0; k < BLOCK; k++) store(d_factors + k * I + c, sums[k], Whole{});
    }
}

// made: queries, keys and values.
template <int BLOCK, class Real>
void backward(const Problem<Real>& p, const Real* const* made, const Gradients<Real>& g, long threads) {
    const long I = p.width, G = padded<Real>(p.gates), H = p.heads(), parts = (p.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        Scratch<Real> scratch(3 * I * (2 * G + 2 * BLOCK) + ROWS_AT_ONCE * (G + I) + G);
        Real *weights = scratch.take(3 * I * G), *sums = scratch.take(3 * I * G), *grad = scratch.take(ROWS_AT_ONCE * G);
        Real *factors = scratch.take(3 * BLOCK * I), *d_factors = scratch.take(3 * BLOCK * I), *d_made = scratch.take(ROWS_AT_ONCE * I);
        Real* bias = scratch.take(G);
        for (int result = 0; result < 3; result++) {
            p.factors(result, factors + result * BLOCK * I);
            for (long gate = 0; gate < p.gates; gate++) {
                const Real* own = p.gate_weights[gate / H] + gate % H * 3 * I + result * I;
                memcpy(weights + (result * G + gate) * I, own, I * sizeof(Real));
            }
        }
        for (long part = thread; part < parts; part += threads) {
            const long from = part * ROWS_AT_ONCE, rows = p.rows - from < ROWS_AT_ONCE ? p.rows - from : ROWS_AT_ONCE;
            for (long t = 0; t < rows; t++) {
                memcpy(grad + t * G, g.gates + (from + t) * p.gates, p.gates * sizeof(Real));
                for (long j = 0; j < p.gates; j++) bias[j] += grad[t * G + j];
            }
            for (int result = 0; result < 3; result++) {
                const Real *convolved = p.convolved + from * p.convolved_row, *plain = p.plain + from * p.plain_row;
                Real *own = factors + result * BLOCK * I, *d_own = d_factors + result * BLOCK * I;
                memcpy(d_made, g.made[result] + from * I, rows * I * sizeof(Real));
                product<true>((int)rows, (int)I, (int)p.gates, grad, G, 1, weights + result * G * I, I, d_made, I);
                product<true>((int)I, (int)G, (int)rows, made[result] + from * I, 1, I, grad, G, sums + result * I * G, G);
                if (result == 0) through<BLOCK, false>(rows, I, convolved, p.convolved_row, d_made, own, g.convolved + from * I, d_own);
                if (result == 1) through<BLOCK, true>(rows, I, convolved, p.convolved_row, d_made, own, g.convolved + from * I, d_own);
                if (result == 2) through<BLOCK, false>(rows, I, plain, p.plain_row, d_made, own, g.plain + from * I, d_own);
            }
        }
        for (int result = 0; result < 3; result++) {
            Real* to = g.weights + (thread * 3 + result) * I * BLOCK;
            for (long k = 0; k < BLOCK; k++)
                for (long c = 0; c < I; c++) to[p.place(k, c)] = d_factors[(result * BLOCK + k) * I + c];
            for (int kind = 0; kind < 2; kind++) {
                Real* to_gates = g.gate_weights + (thread * 2 + kind) * H * 3 * I + result * I;
                transpose((int)I, (int)H, sums + result * I * G + kind * H, G, to_gates, 3 * I);
            }
        }
        memcpy(g.gate_bias + thread * p.gates, bias, p.gates * sizeof(Real));
    }
}

}  // namespace

#define FOR_BLOCK(call)         \
    switch (p.block) {          \
        case 1: call(1); break; \
        case 2: call(2); break; \
        case 4: call(4); break; \
    }
#define FORWARD(count) forward<count>(p, made, gates, threads)
#define BACKWARD(count) backward<count>(p, made, g, threads)

#define PROBLEM(Real)                                                                                                 \
    Problem<Real> p{rows, width, block, gate_count, convolved, plain, convolved_row, plain_row, {w_q, w_k, w_v},       \
                    {w_i, w_f}, {b_i, b_f}};
#define HEADWISE(Real, suffix)                                                                                        \
    EXPORT void headwise_forward_##suffix(                                                                             \
        const Real* convolved, const Real* plain, const Real* w_q, const Real* w_k, const Real* w_v, const Real* w_i,  \
        const Real* w_f, const Real* b_i, const Real* b_f, Real* q, Real* k, Real* v, Real* gates, long convolved_row, \
        long plain_row, long rows, long width, long block, long gate_count, long threads) {                            \
        PROBLEM(Real)                                                                                                  \
        Real* const made[3] = {q, k, v};                                                                               \
        FOR_BLOCK(FORWARD)                                                                                             \
    }                                                                                                                  \
    EXPORT void headwise_backward_##suffix(                                                                            \
        const Real* convolved, const Real* plain, const Real* w_q, const Real* w_k, const Real* w_v, const Real* w_i,  \
        const Real* w_f, const Real* b_i, const Real* b_f, const Real* q, const Real* k, const Real* v,                \
        const Real* d_q, const Real* d_k, const Real* d_v, const Real* d_gates, Real* d_convolved, Real* d_plain,      \
        Real* d_weights, Real* d_gate_weights, Real* d_gate_bias, long convolved_row, long plain_row, long rows,       \
        long width, long block, long gate_count, long threads) {                                                       \
        PROBLEM(Real)                                                                                                  \
        const Real* const made[3] = {q, k, v};                                                                         \
        Gradients<Real> g{{d_q, d_k, d_v}, d_gates, d_convolved, d_plain, d_weights, d_gate_weights, d_gate_bias};     \
        FOR_BLOCK(BACKWARD)                                                                                            \
    }
HEADWISE(float, f32)
HEADWISE(double, f64)
