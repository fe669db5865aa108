/* What one core can do: fused multiply-adds on registers alone, 2 operations each. Prints GFLOP/s, the best of 20 rounds. */
#include <stdio.h>
#include <time.h>

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float lanes __attribute__((vector_size(LANES * 4)));

/* More chains than a multiply-add has cycles of latency times units that do it. */
enum { CHAINS = 12, ROUNDS = 4000000 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(void) {
  lanes sum[CHAINS], a, b;
  for (int l = 0; l < LANES; l++) a[l] = 0.999f + l * 1e-6f, b[l] = 1e-3f;
  for (int c = 0; c < CHAINS; c++) sum[c] = b * (float)c;
  double best = 0;
  for (int turn = 0; turn < 20; turn++) {
    double start = seconds();
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
      for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * a + b;
    }
    double rate = 2.0 * CHAINS * LANES * ROUNDS / (seconds() - start) * 1e-9;
    if (rate > best) best = rate;
  }
  lanes all = sum[0];
  for (int c = 1; c < CHAINS; c++) all += sum[c];
  fprintf(stderr, "%g\n", all[0]); /* The sums are needed: they cannot be left out. */
  printf("%.2f\n", best);
}
