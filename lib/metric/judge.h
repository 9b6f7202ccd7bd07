/* SPDX-License-Identifier: Apache-2.0 */
/* metric/judge.h -- captions and scores from a program that the user names, asked over a pipe
 * (doc/formats.md, "Captioner and judge").
 *
 * The command is run by sh, in a process group of its own; it reads questions from its standard
 * input and writes answers to its standard output, one JSON object a line, matched by "id". First
 * comes {"id": 0, "task": "hello", "protocol": 1}, answered with its name, which is part of every
 * metric that it takes part in.
 *
 * It is not trusted to behave. One that is silent for the timeout, ends, writes a line of more than
 * a megabyte or what is not an answer is killed with its whole group and started again; the
 * question is asked anew, up to the number of attempts, after a pause that doubles. An answer that
 * says "error" is asked again too, unless it says "retry": false. Good answers are kept by the hash
 * of the question and the judge's name, and not asked for again. */
#ifndef T3D_METRIC_JUDGE_H
#define T3D_METRIC_JUDGE_H

#include "metric/memo.h"

struct t3d_judge;

struct t3d_judge_options {
    const char *command;
    double timeout_s; /* for an answer, counted from the last sign of life */
    int attempts;     /* 1 = no second try */
    double pause_s;   /* before the second */
};

struct t3d_answer {
    char *text;         /* caller frees; NULL when there is none, then err says why */
    int attempts;       /* it took */
    struct t3d_err err; /* T3D_SKIP "judge-timeout", "judge-died", "judge-overflow",
                           "judge-protocol", "judge-error", or what check says */
};

/* NULL err: fine. Any T3D_SKIP of it is an answer that does not count. */
typedef int t3d_answer_check(const char *text, struct t3d_err *err);

/* Starts it and asks for its name. T3D_SKIP as above when it has none to give. memo is borrowed. */
int t3d_judge_open(struct t3d_judge **out, const struct t3d_judge_options *o, struct t3d_memo *memo,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_judge_close(struct t3d_judge *j);
/* [A-Za-z0-9._+-]{1,64}. */
const char *t3d_judge_name(const struct t3d_judge *j);

/* n questions (objects, without "id") at once, answers in their order. check may be NULL. What
 * members named in `private` (a path: it says nothing about the answer) have is not part of the
 * hash. T3D_END when a stop was requested, T3D_IO. */
int t3d_judge_ask(struct t3d_judge *j, cJSON *const *question, int n, t3d_answer_check *check,
                  const char *private, struct t3d_answer *answer,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* Written rules in place of a judge (`t3d bench stub-judge`): colours of the picture, words that
 * most captions share, share of the prompt's words. The answer to one question, with its id. */
int t3d_judge_stub(cJSON **answer, const cJSON *question, struct t3d_err *err) T3D_MUST_CHECK;

#endif
