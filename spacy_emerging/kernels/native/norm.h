// Root-mean-square normalisation of a row, plain or with a gate before or after it.
#pragma once

#include "simd.h"

namespace norm {

enum Gate { NONE, BEFORE, AFTER };  // rms(x) w; rms(x silu(z)) w; rms(x) w silu(z)

// Gives the scale.
template <int GATE, class Real>
static Real forward(const Real* x, const Real* z, const Real* weight, Real* y, long width, Real epsilon) {
    Vector<Real> squares{};
    each_vector<Real>(width, [&](long c, auto part) {
        Vector<Real> value = load(x + c, part);
        if (GATE == BEFORE) {
            Vector<Real> gate = load(z + c, part);
            value *= gate * sigmoid(gate);
            store(y + c, value, part);
        }
        squares += value * value;
    });
    const Real scale = 1 / root(sum_of<Real>(squares) / width + epsilon);
    each_vector<Real>(width, [&](long c, auto part) {
        Vector<Real> value = GATE == BEFORE ? load(y + c, part) : load(x + c, part);
        value *= scale * load(weight + c, part);
        if (GATE == AFTER) {
            Vector<Real> gate = load(z + c, part);
            value *= gate * sigmoid(gate);
        }
        store(y + c, value, part);
    });
    return scale;
}

// What a backward pass works with, per thread, and the gradient of the weights, which is added up.
template <class Real>
struct Space {
    Scratch<Real> scratch;
    Real *normed, *pulled, *opened, *d_weight;

    Space(long width, Real* d_weight)
        : scratch(3 * width), normed(scratch.take(width)), pulled(scratch.take(width)), opened(scratch.take(width)), d_weight(d_weight) {
        memset(d_weight, 0, width * sizeof(Real));
    }
};

// Writes dx and dz, and, where there is room for it, what the forward pass gave.
template <int GATE, class Real>
static void backward(
    const Real* x, const Real* z, const Real* weight, Real scale, const Real* grad, Real* dx, Real* dz, const Space<Real>& space, long width,
    Real* again = nullptr) {
    Vector<Real> products{};
    each_vector<Real>(width, [&](long c, auto part) {
        Vector<Real> value = load(x + c, part), g = load(grad + c, part), w = load(weight + c, part);
        if (GATE == BEFORE) {
            Vector<Real> gate = load(z + c, part), open = sigmoid(gate);
            value *= gate * open;
            store(space.opened + c, open, part);
        }
        if (GATE == AFTER) {
            Vector<Real> gate = load(z + c, part), open = sigmoid(gate), normed = value * scale * w;
            store(dz + c, g * normed * open * (1 + gate * (1 - open)), part);
            if (again) store(again + c, normed * gate * open, part);
            g *= gate * open;
        }
        store(space.d_weight + c, load(space.d_weight + c, part) + g * value * scale, part);
        if (GATE != AFTER && again) store(again + c, value * scale * w, part);
        g *= w;
        products += g * value;
        store(space.normed + c, value, part);
        store(space.pulled + c, g, part);
    });
    const Real pull = sum_of<Real>(products) * scale * scale / width;
    each_vector<Real>(width, [&](long c, auto part) {
        Vector<Real> d = scale * (load(space.pulled + c, part) - pull * load(space.normed + c, part));
        if (GATE == BEFORE) {
            Vector<Real> gate = load(z + c, part), open = load(space.opened + c, part);
            store(dz + c, d * load(x + c, part) * open * (1 + gate * (1 - open)), part);
            d *= gate * open;
        }
        store(dx + c, d, part);
    });
}

}  // namespace norm
