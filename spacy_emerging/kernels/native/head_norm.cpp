// Layer norm without bias, of whole rows or of each head of a row, and for an mLSTM what comes after it: the skip and the gate.
#include "moments.h"

namespace {

template <class Real>
struct Problem {
    long rows, heads, width;  // width of a head
    const Real* x;            // (T, H d)
    long x_row;
    const Real* weight;             // (H d), what is added to 1
    const Real *skipped, *skip;     // (T, H d) and (H d): what is added, and its factors; or none
    const Real* gate;               // (T, H d), through SiLU; or none
    long skipped_row, gate_row;
    Real epsilon;
};

// y = (normed (1 + weight) + skipped skip) silu(gate), (T, H d), written.
template <bool GATED, class Real>
void forward(const Problem<Real>& p, Real* y, long threads) {
    const long d = p.width, row = p.heads * d;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long t = 0; t < p.rows; t++) {
        for (long from = 0; from < row; from += d) {
            const Real *x = p.x + t * p.x_row + from, *skipped = p.skipped + t * p.skipped_row + from, *gate = p.gate + t * p.gate_row + from;
            Real mean, scale;
            moments(x, d, p.epsilon, mean, scale);
            each_vector<Real>(d, [&](long j, auto width) {
                Vector<Real> value = (load(x + j, width) - mean) * scale * (1 + load(p.weight + from + j, width));
                if (GATED) {
                    Vector<Real> z = load(gate + j, width);
                    value = (value + load(skipped + j, width) * load(p.skip + from + j, width)) * z * sigmoid(z);
                }
                store(y + t * row + from + j, value, width);
            });
        }
    }
}

template <class Real>
struct Gradients {
    const Real* grad;               // (T, H d)
    Real *x, *skipped, *gate;       // (T, H d) each, written, the last two only if there is a gate
    Real *weight, *skip;            // (parts, H d): a part per thread, written
};

template <bool GATED, class Real>
void backward(const Problem<Real>& p, const Gradients<Real>& g, long threads) {
    const long d = p.width, row = p.heads * d, share = (p.rows + threads - 1) / threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long thread = 0; thread < threads; thread++) {
        Scratch<Real> scratch(2 * padded<Real>(d));
        Real *normed = scratch.take(padded<Real>(d)), *pulled = scratch.take(padded<Real>(d));
        Real *d_weight = g.weight + thread * row, *d_skip = g.skip + thread * row;
        memset(d_weight, 0, row * sizeof(Real));
        if (GATED) memset(d_skip, 0, row * sizeof(Real));
        const long end = (thread + 1) * share < p.rows ? (thread + 1) * share : p.rows;
        for (long t = thread * share; t < end; t++) {
            for (long from = 0; from < row; from += d) {
                const Real *x = p.x + t * p.x_row + from, *skipped = p.skipped + t * p.skipped_row + from;
                const Real *gate = p.gate + t * p.gate_row + from, *weight = p.weight + from, *skip = p.skip + from;
                const long place = t * row + from;
                Real mean, scale;
                moments(x, d, p.epsilon, mean, scale);
                Vector<Real> sums{}, products{};
                each_vector<Real>(d, [&](long j, auto width) {
                    Vector<Real> value = (load(x + j, width) - mean) * scale, w = 1 + load(weight + j, width);
                    Vector<Real> d_value = load(g.grad + place + j, width);
                    if (GATED) {
                        Vector<Real> z = load(gate + j, width), open = sigmoid(z), other = load(skipped + j, width), factor = load(skip + j, width);
                        store(g.gate + place + j, d_value * (value * w + other * factor) * open * (1 + z * (1 - open)), width);
                        d_value *= z * open;
                        store(g.skipped + place + j, d_value * factor, width);
                        store(d_skip + from + j, load(d_skip + from + j, width) + d_value * other, width);
                    }
                    store(d_weight + from + j, load(d_weight + from + j, width) + d_value * value, width);
                    d_value *= w;
                    sums += d_value;
                    products += d_value * value;
                    store(normed + j, value, Whole{});
                    store(pulled + j, d_value, Whole{});
                });
                const Real all = sum_of<Real>(sums) / d, pull = sum_of<Real>(products) / d;
                each_vector<Real>(d, [&](long j, auto width) {
                    store(g.x + place + j, scale * (load(pulled + j, width) - all - pull * load(normed + j, width)), width);
                });
            }
        }
    }
}

}  // namespace

#define HEAD_NORM(Real, suffix)                                                                                                    \
    EXPORT void head_norm_forward_##suffix(                                                                                         \
        const Real* x, const Real* weight, const Real* skipped, const Real* skip, const Real* gate, Real* y, long x_row,            \
        long skipped_row, long gate_row, long rows, long heads, long width, double epsilon, long threads) {                         \
        Problem<Real> p{rows, heads, width, x, x_row, weight, skipped, skip, gate, skipped_row, gate_row, (Real)epsilon};           \
        (gate ? forward<true, Real> : forward<false, Real>)(p, y, threads);                                                         \
    }                                                                                                                               \
    EXPORT void head_norm_backward_##suffix(                                                                                        \
        const Real* x, const Real* weight, const Real* skipped, const Real* skip, const Real* gate, const Real* grad, Real* d_x,    \
        Real* d_weight, Real* d_skipped, Real* d_skip, Real* d_gate, long x_row, long skipped_row, long gate_row, long rows,        \
        long heads, long width, double epsilon, long threads) {                                                                     \
        Problem<Real> p{rows, heads, width, x, x_row, weight, skipped, skip, gate, skipped_row, gate_row, (Real)epsilon};           \
        Gradients<Real> g{grad, d_x, d_skipped, d_gate, d_weight, d_skip};                                                          \
        (gate ? backward<true, Real> : backward<false, Real>)(p, g, threads);                                                       \
    }
HEAD_NORM(float, f32)
HEAD_NORM(double, f64)
