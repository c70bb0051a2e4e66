#include "measure/fit.h"

#include <math.h>
#include <string.h>

enum { N = TMSI_TERM_COUNT, TURNS = 30 };

/* A pull towards the prior, so weak that it decides only what samples leave open. */
static const double PULL = 1e-6;

/* What a sample counts: of long products, which the power cap slows down as it does not the short
 * ones of the same kernel, a few say more than all those, and there a wrong choice costs most. */
static double weight_of(const tmsi_sample *sample) {
    static const double short_us = 20.0, long_us = 1000.0;

    return fmin(fmax(sample->us, short_us), long_us) / short_us;
}

/* The terms that count in a sample under such prices: of steps and memory the slower. */
static void binding(const tmsi_sample *sample, const double price[N], double out[N]) {
    const double steps = sample->terms[TMSI_TERM_BLOCK] * price[TMSI_TERM_BLOCK] +
                         sample->terms[TMSI_TERM_TILE] * price[TMSI_TERM_TILE];
    const double memory = sample->terms[TMSI_TERM_MEMORY] * price[TMSI_TERM_MEMORY];

    memcpy(out, sample->terms, N * sizeof *out);
    if (memory > steps)
        out[TMSI_TERM_BLOCK] = out[TMSI_TERM_TILE] = 0.0;
    else
        out[TMSI_TERM_MEMORY] = 0.0;
}

/* Solves a x = b for a symmetric positive definite a of the rows in `use`, by Cholesky; others get
 * 0. */
static void solve(double a[N][N], const double b[N], const bool use[N], double x[N]) {
    double l[N][N] = {{0.0}};

    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i && use[i]; j++) {
            double sum = a[i][j];

            if (!use[j])
                continue;
            for (int m = 0; m < j; m++)
                sum -= l[i][m] * l[j][m];
            l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
        }
    for (int i = 0; i < N; i++) {
        x[i] = use[i] ? b[i] : 0.0;
        for (int m = 0; m < i && use[i]; m++)
            x[i] -= l[i][m] * x[m];
        x[i] = use[i] ? x[i] / l[i][i] : 0.0;
    }
    for (int i = N - 1; i >= 0; i--) {
        for (int m = i + 1; m < N && use[i]; m++)
            x[i] -= l[m][i] * x[m];
        x[i] = use[i] ? x[i] / l[i][i] : 0.0;
    }
}

/* One turn: the sides as they bind now, columns scaled to length 1, the most negative price struck
 * out until none is left. */
static void turn(const tmsi_sample *samples, int64_t count, const double prior[N],
                 double price[N]) {
    double a[N][N] = {{0.0}}, b[N] = {0.0}, scale[N], x[N];
    bool use[N];

    for (int64_t s = 0; s < count; s++) {
        const double weight = weight_of(&samples[s]);
        double row[N];

        binding(&samples[s], price, row);
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++)
                a[i][j] += weight * row[i] * row[j] / (samples[s].us * samples[s].us);
            b[i] += weight * row[i] / samples[s].us;
        }
    }
    for (int i = 0; i < N; i++) {
        scale[i] = a[i][i] > 0.0 ? sqrt(a[i][i]) : 1.0;
        use[i] = a[i][i] > 0.0;
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++)
            a[i][j] /= scale[i] * scale[j];
        a[i][i] += PULL;
        b[i] = b[i] / scale[i] + PULL * prior[i] * scale[i];
    }
    for (;;) {
        int worst = -1;

        solve(a, b, use, x);
        for (int i = 0; i < N; i++)
            if (use[i] && x[i] < 0.0 && (worst < 0 || x[i] < x[worst]))
                worst = i;
        if (worst < 0)
            break;
        use[worst] = false;
    }
    for (int i = 0; i < N; i++)
        if (a[i][i] > 2.0 * PULL) /* some sample depends on it */
            price[i] = x[i] / scale[i];
}

static double error_of(const tmsi_sample *samples, int64_t count, const double price[N]) {
    double sum = 0.0, weights = 0.0;

    for (int64_t s = 0; s < count; s++) {
        const double error = tmsi_tuning_time(samples[s].terms, price) / samples[s].us - 1.0;

        sum += weight_of(&samples[s]) * error * error;
        weights += weight_of(&samples[s]);
    }
    return count > 0 ? sqrt(sum / weights) : 0.0;
}

/* Turns from a start; the best of them, where it is better than what *best_error tells of out. */
static void descend(const tmsi_sample *samples, int64_t count, const double prior[N],
                    const double start[N], double *best_error, double out[N]) {
    double price[N];

    memcpy(price, start, sizeof price);
    for (int i = 0; i < TURNS; i++) { /* sides may swap for ever: the best turn counts */
        double error;

        turn(samples, count, prior, price);
        error = error_of(samples, count, price);
        if (error >= *best_error)
            continue;
        *best_error = error;
        memcpy(out, price, sizeof price);
    }
}

/* What a megabyte costs at most, if no sample was faster than its memory. */
static double memory_bound(const tmsi_sample *samples, int64_t count) {
    double least = INFINITY;

    for (int64_t s = 0; s < count; s++)
        if (samples[s].terms[TMSI_TERM_MEMORY] > 0.0)
            least = fmin(least, samples[s].us / samples[s].terms[TMSI_TERM_MEMORY]);
    return isfinite(least) ? least : 0.0;
}

double tmsi_fit(const tmsi_sample *samples, int64_t count, const double prior[TMSI_TERM_COUNT],
                double out[TMSI_TERM_COUNT]) {
    double start[N], best_error = error_of(samples, count, prior);

    memcpy(out, prior, sizeof start);
    descend(samples, count, prior, prior, &best_error, out);
    /* Memory that costs nothing binds nothing, and would never be found to cost something. */
    memcpy(start, prior, sizeof start);
    start[TMSI_TERM_MEMORY] = memory_bound(samples, count);
    descend(samples, count, prior, start, &best_error, out);
    return best_error;
}
