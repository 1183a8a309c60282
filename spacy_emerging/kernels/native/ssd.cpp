// State-space duality by itself: all sequences, or groups of their heads where there are fewer sequences than threads.
#include "ssd_back.h"

namespace {

using namespace ssd;

template <class Real>
static void all_forward(const Problem<Real>& p, const States<Real>& states, const Output<Real>& output, long threads) {
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Table<Real> table(p);
#pragma omp for schedule(static)
        for (long unit = 0; unit < p.sequences * p.groups; unit++) forward(p, table, unit, states, output);
    }
}

template <class Real>
static void all_backward(const Problem<Real>& p, const Given<Real>& given, const Gradients<Real>& g, long threads) {
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Desk<Real> desk(p);
#pragma omp for schedule(static)
        for (long unit = 0; unit < p.sequences * p.groups; unit++) backward(p, desk, unit, given, g);
    }
}

}  // namespace

#define SSD(Real, suffix)                                                                                                            \
    EXPORT void ssd_forward_##suffix(                                                                                                 \
        const Real* x, const Real* b, const Real* c, const Real* dt, const Real* a, const Real* skip, const int64_t* begins,          \
        const int64_t* state_begins, Real* states, const Real* start, Real* end, Real* y, long row, long sequences, long heads,       \
        long width, long state, long chunk, long reverse, long shift, long groups, long y_row, long add, long threads) {              \
        Problem<Real> p{sequences, begins, heads, width, state, chunk, reverse, shift, groups, x, b, c, row, dt, a, skip};            \
        all_forward<Real>(p, {state_begins, states, start, end}, {y, y_row, add}, threads);                                           \
    }                                                                                                                                 \
    EXPORT void ssd_backward_##suffix(                                                                                                \
        const Real* x, const Real* b, const Real* c, const Real* dt, const Real* a, const Real* skip, const int64_t* begins,          \
        const int64_t* state_begins, const Real* states, const Real* grad, Real* dx, Real* db, Real* dc, Real* ddt, Real* da,         \
        Real* dskip, long row, long sequences, long heads, long width, long state, long chunk, long reverse, long shift, long groups, \
        long grad_row, long d_row, long group_row, long add, long threads) {                                                          \
        Problem<Real> p{sequences, begins, heads, width, state, chunk, reverse, shift, groups, x, b, c, row, dt, a, skip};            \
        all_backward<Real>(                                                                                                           \
            p, {state_begins, states, grad, grad_row}, {dx, db, dc, d_row, group_row, add, ddt, da, dskip}, threads);                 \
    }
SSD(float, f32)
SSD(double, f64)
