/* hn_kernel_coef.h - coefficients of the vector functions, minimax in relative error, fitted by
 * iteratively reweighted least squares in double and rounded to float.  Errors of the fit alone:
 * exp 3.1e-9, log 4.9e-12, tanh 2.1e-8; tests/unit/check_kernel.c bounds the whole functions. */
#ifndef HN_KERNEL_COEF_H
#define HN_KERNEL_COEF_H

#define EXP_C2 0.49999994f
#define EXP_C3 0.166665196f
#define EXP_C4 0.0416683927f
#define EXP_C5 0.00836878084f
#define EXP_C6 0.00138144672f

#define LOG_C3 0.666666627f
#define LOG_C5 0.400003403f
#define LOG_C7 0.285370409f
#define LOG_C9 0.235876545f

#define TANH_MAX 9.0f
#define TANH_P0 1.0f
#define TANH_P1 0.133810267f
#define TANH_P2 0.00349558913f
#define TANH_P3 2.0609099e-05f
#define TANH_P4 1.33546818e-08f
#define TANH_Q1 0.467143416f
#define TANH_Q2 0.0258769859f
#define TANH_Q3 0.000328563649f
#define TANH_Q4 7.7765668e-07f
#endif
