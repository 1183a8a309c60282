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
    const Real *convolved, *plain;  // (T, I): queries and keys are made of the one, values of the other, gates of both
    long convolved_row, plain_row;
    const Real* factors[3];       // (block, I) of queries, keys and values
    const Real *gate_weights[2];  // (I, G) from both
    const Real* gate_bias;        // (G)
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
    const long I = p.width, G = padded<Real>(p.gates), parts = (p.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        Scratch<Real> scratch(2 * I * G + ROWS_AT_ONCE * G);
        Real *weights = scratch.take(2 * I * G), *out = scratch.take(ROWS_AT_ONCE * G);
        for (long c = 0; c < 2 * I; c++) memcpy(weights + c * G, p.gate_weights[c / I] + c % I * p.gates, p.gates * sizeof(Real));
        for (long part = thread; part < parts; part += threads) {
            const long from = part * ROWS_AT_ONCE, rows = p.rows - from < ROWS_AT_ONCE ? p.rows - from : ROWS_AT_ONCE;
            const Real *convolved = p.convolved + from * p.convolved_row, *plain = p.plain + from * p.plain_row;
            fetch(convolved, p.convolved_row, rows, I);
            fetch(plain, p.plain_row, rows, I);
            for (int result = 0; result < 3; result++) {
                const Real* x = result < 2 ? convolved : plain;
                const long row = result < 2 ? p.convolved_row : p.plain_row;
                for (long c = 0; c < I; c += LANES<Real>) {
                    Vector<Real> factors[4];
                    for (int k = 0; k < BLOCK; k++) factors[k] = load(p.factors[result] + k * I + c, Whole{});
                    for (long t = 0; t < rows; t++) {
                        Vector<Real> sum{};
                        each_of_block<BLOCK>([&](auto k) { sum += factors[k.value] * load_exchanged<k.value>(x + t * row, c); });
                        store(made[result] + (from + t) * I + c, sum, Whole{});
                    }
                }
            }
            for (long t = 0; t < rows; t++) memcpy(out + t * G, p.gate_bias, p.gates * sizeof(Real));
            product<true>((int)rows, (int)G, (int)I, convolved, p.convolved_row, 1, weights, G, out, G);
            product<true>((int)rows, (int)G, (int)I, plain, p.plain_row, 1, weights + I * G, G, out, G);
            for (long t = 0; t < rows; t++) memcpy(gates + (from + t) * p.gates, out + t * G, p.gates * sizeof(Real));
        }
    }
}

template <class Real>
struct Gradients {
    const Real* made[3];  // of queries, keys and values, (T, I)
    const Real* gates;    // (T, G)
    Real *convolved, *plain;  // (T, I), written
    Real *factors, *gate_weights, *gate_bias;  // (parts, 3, block, I), (parts, 2, I, G), (parts, G): a part per thread, written
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

template <int BLOCK, class Real>
void backward(const Problem<Real>& p, const Gradients<Real>& g, long threads) {
    const long I = p.width, G = padded<Real>(p.gates), parts = (p.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        Scratch<Real> scratch(4 * I * G + ROWS_AT_ONCE * G + G);
        Real *turned = scratch.take(2 * I * G), *sums = scratch.take(2 * I * G), *grad = scratch.take(ROWS_AT_ONCE * G), *bias = scratch.take(G);
        for (int from = 0; from < 2; from++) transpose((int)I, (int)p.gates, p.gate_weights[from], p.gates, turned + from * I * G, I);
        Real* d_factors = g.factors + thread * 3 * BLOCK * I;
        memset(d_factors, 0, 3 * BLOCK * I * sizeof(Real));
        for (long part = thread; part < parts; part += threads) {
            const long from = part * ROWS_AT_ONCE, rows = p.rows - from < ROWS_AT_ONCE ? p.rows - from : ROWS_AT_ONCE;
            const Real *convolved = p.convolved + from * p.convolved_row, *plain = p.plain + from * p.plain_row;
            const Real* made[3] = {g.made[0] + from * I, g.made[1] + from * I, g.made[2] + from * I};
            Real *d_convolved = g.convolved + from * I, *d_plain = g.plain + from * I;
            through<BLOCK, false>(rows, I, convolved, p.convolved_row, made[0], p.factors[0], d_convolved, d_factors);
            through<BLOCK, true>(rows, I, convolved, p.convolved_row, made[1], p.factors[1], d_convolved, d_factors + BLOCK * I);
            through<BLOCK, false>(rows, I, plain, p.plain_row, made[2], p.factors[2], d_plain, d_factors + 2 * BLOCK * I);
            for (long t = 0; t < rows; t++) {
                memcpy(grad + t * G, g.gates + (from + t) * p.gates, p.gates * sizeof(Real));
                for (long j = 0; j < p.gates; j++) bias[j] += grad[t * G + j];
            }
            product<true>((int)rows, (int)I, (int)p.gates, grad, G, 1, turned, I, d_convolved, I);
            product<true>((int)rows, (int)I, (int)p.gates, grad, G, 1, turned + I * G, I, d_plain, I);
            product<true>((int)I, (int)G, (int)rows, convolved, 1, p.convolved_row, grad, G, sums, G);
            product<true>((int)I, (int)G, (int)rows, plain, 1, p.plain_row, grad, G, sums + I * G, G);
        }
        for (long c = 0; c < 2 * I; c++) memcpy(g.gate_weights + (thread * 2 * I + c) * p.gates, sums + c * G, p.gates * sizeof(Real));
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
#define BACKWARD(count) backward<count>(p, g, threads)

#define HEADWISE(Real, suffix)                                                                                                        \
    EXPORT void headwise_forward_##suffix(                                                                                             \
        const Real* convolved, const Real* plain, const Real* factors, const Real* gate_weights, const Real* gate_bias, Real* q,       \
        Real* k, Real* v, Real* gates, long convolved_row, long plain_row, long rows, long width, long block, long gate_count,         \
        long threads) {                                                                                                                \
        Problem<Real> p{rows, width, block, gate_count, convolved, plain, convolved_row, plain_row,                                    \
                        {factors, factors + block * width, factors + 2 * block * width},                                               \
                        {gate_weights, gate_weights + width * gate_count}, gate_bias};                                                 \
        Real* const made[3] = {q, k, v};                                                                                               \
        FOR_BLOCK(FORWARD)                                                                                                             \
    }                                                                                                                                  \
    EXPORT void headwise_backward_##suffix(                                                                                            \
        const Real* convolved, const Real* plain, const Real* factors, const Real* gate_weights, const Real* gate_bias,                \
        const Real* d_q, const Real* d_k, const Real* d_v, const Real* d_gates, Real* d_convolved, Real* d_plain, Real* d_factors,     \
        Real* d_gate_weights, Real* d_gate_bias, long convolved_row, long plain_row, long rows, long width, long block,                \
        long gate_count, long threads) {                                                                                               \
        Problem<Real> p{rows, width, block, gate_count, convolved, plain, convolved_row, plain_row,                                    \
                        {factors, factors + block * width, factors + 2 * block * width},                                               \
                        {gate_weights, gate_weights + width * gate_count}, gate_bias};                                                 \
        Gradients<Real> g{{d_q, d_k, d_v}, d_gates, d_convolved, d_plain, d_factors, d_gate_weights, d_gate_bias};                     \
        FOR_BLOCK(BACKWARD)                                                                                                            \
    }
HEADWISE(float, f32)
HEADWISE(double, f64)
