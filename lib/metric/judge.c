/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/defs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/tool.h"

enum { MAX_LINE = 1 << 20, NAME = 65, POLL_MS = 100, PROTOCOL = 1 };

#define MAX_PAUSE_S 30.

struct t3d_judge {
    struct t3d_judge_options o;
    struct t3d_memo *memo;
    char *command, name[NAME];
    pid_t pid; /* 0 = not running */
    int in, out;
    char *buf; /* (MAX_LINE + 1) what it has written since the last line */
    size_t used;
    uint64_t id;    /* of the last question */
    uint64_t hello; /* id of that to one that was started again; 0 = answered */
};

/* --- the process ----------------------------------------------------------------------------- */

static void stop_child(struct t3d_judge *j)
{
    if (!j->pid)
        return;
    close(j->in);
    close(j->out);
    kill(-j->pid, SIGKILL);
    while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    j->pid = 0;
    j->used = 0;
    j->hello = 0;
}

/* Between fork and exec: only what a signal handler may do. */
static void become(struct t3d_judge *j, int in, int out)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    char sh[] = "sh", option[] = "-c";
    char *argv[] = {sh, option, j->command, NULL};

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGPIPE, &usual, NULL);
    sigaction(SIGXFSZ, &usual, NULL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execve("/bin/sh", argv, environ);
    _exit(127);
}

static int start_child(struct t3d_judge *j, struct t3d_err *err)
{
    int to[2], from[2];

    if (j->pid)
        return T3D_OK;
    if (pipe2(to, O_CLOEXEC) < 0)
        return t3d_err_sys(err, "cannot make a pipe", "the judge");
    if (pipe2(from, O_CLOEXEC) < 0) {
        close(to[0]);
        close(to[1]);
        return t3d_err_sys(err, "cannot make a pipe", "the judge");
    }
    j->pid = fork();
    if (j->pid == 0)
        become(j, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    if (j->pid < 0) {
        j->pid = 0;
        close(to[1]);
        close(from[0]);
        return t3d_err_sys(err, "cannot start", "the judge");
    }
    setpgid(j->pid, j->pid);             /* whoever comes first */
    j->hello = j->name[0] ? ++j->id : 0; /* one that is started again says its name again */
    j->in = to[1];
    j->out = from[0];
    j->used = 0;
    fcntl(j->in, F_SETFL, O_NONBLOCK);
    fcntl(j->out, F_SETFL, O_NONBLOCK);
    return T3D_OK;
}

/* How it ended, as it was still running a moment ago. */
static int say_death(struct t3d_judge *j, struct t3d_err *err)
{
    int status = 0;
    pid_t gone = 0;

    for (int i = 0; i < 20 && gone == 0; i++) {
        gone = waitpid(j->pid, &status, WNOHANG);
        if (gone == 0)
            poll(NULL, 0, 10);
    }
    if (gone != j->pid)
        return t3d_err_set(err, T3D_SKIP, "judge-died", "the judge closed its output");
    kill(-j->pid, SIGKILL); /* what it left behind */
    close(j->in);
    close(j->out);
    j->pid = 0;
    if (WIFSIGNALED(status))
        return t3d_err_value(err, T3D_SKIP, "judge-died", WTERMSIG(status),
                             "the judge was ended by signal %d", WTERMSIG(status));
    return t3d_err_value(err, T3D_SKIP, "judge-died", WEXITSTATUS(status),
                         "the judge ended with status %d before it had answered",
                         WEXITSTATUS(status));
}

/* --- a conversation -------------------------------------------------------------------------- */

/* Questions under way. */
struct talk {
    struct t3d_judge *j;
    cJSON *const *question;
    struct t3d_answer *answer;
    uint64_t *id; /* of question i; 0 = not asked, or answered */
    int n;
    t3d_answer_check *check;
    char *text; /* the questions as lines */
    size_t size, sent;
    double alive_s; /* last sign of life */
};

static int ask_one(struct talk *t, FILE *f, int i, struct t3d_err *err)
{
    cJSON *q = cJSON_Duplicate(t->question[i], 1);
    int r = T3D_OK;

    t->id[i] = ++t->j->id;
    if (!q || t3d_json_set_num(q, "id", (double)t->id[i]) < 0)
        r = t3d_err_nomem(err, "a question");
    if (r == T3D_OK)
        r = t3d_ndjson_write(f, q, err);
    cJSON_Delete(q);
    return r;
}

static int write_questions(struct talk *t, const int *open, struct t3d_err *err)
{
    FILE *f = open_memstream(&t->text, &t->size);
    int r = f ? T3D_OK : t3d_err_nomem(err, "the questions");

    if (f && t->j->hello)
        fprintf(f, "{\"task\":\"hello\",\"protocol\":%d,\"id\":%llu}\n", PROTOCOL,
                (unsigned long long)t->j->hello);
    for (int i = 0; i < t->n && r == T3D_OK; i++)
        if (open[i])
            r = ask_one(t, f, i, err);
    if (f)
        fclose(f);
    return r;
}

static int left(const struct talk *t)
{
    int n = 0;

    for (int i = 0; i < t->n; i++)
        n += t->id[i] != 0;
    return n;
}

static int protocol_error(struct t3d_err *err, const char *line)
{
    return t3d_err_set(err, T3D_SKIP, "judge-protocol",
                       "the judge wrote '%.80s', which is not an answer: one JSON object a line, "
                       "with the \"id\" of the question and \"text\"",
                       line);
}

static int take_answer(struct talk *t, const cJSON *o, const char *line, struct t3d_err *err)
{
    double id = t3d_json_num(o, "id", 0);
    const char *text = t3d_json_str(o, "text", NULL), *error = t3d_json_str(o, "error", NULL);
    int i = 0;

    if (t->j->hello && (double)t->j->hello == id) {
        t->j->hello = 0;
        return text && strcmp(text, t->j->name) == 0
                   ? T3D_OK
                   : t3d_err_set(err, T3D_SKIP, "judge-protocol",
                                 "the judge called itself '%s', and now '%.80s'", t->j->name,
                                 text ? text : "");
    }
    while (i < t->n && !(t->id[i] && (double)t->id[i] == id))
        i++;
    if (i == t->n || (!text && !error))
        return protocol_error(err, line);
    t->id[i] = 0;
    if (error)
        t3d_err_value(&t->answer[i].err, T3D_SKIP, "judge-error", t3d_json_bool(o, "retry", 1),
                      "the judge says: %.300s", error);
    else if (!t->check || t->check(text, &t->answer[i].err) == T3D_OK)
        t->answer[i].text = strdup(text);
    return T3D_OK;
}

/* The lines that are whole. */
static int take_lines(struct talk *t, struct t3d_err *err)
{
    struct t3d_judge *j = t->j;
    size_t begin = 0;
    char *end;
    int r = T3D_OK;

    while (r == T3D_OK && (end = memchr(j->buf + begin, '\n', j->used - begin))) {
        char *line = j->buf + begin;
        cJSON *o;

        *end = 0;
        begin = (size_t)(end + 1 - j->buf);
        if (line[strspn(line, " \t\r")] == 0)
            continue;
        o = cJSON_Parse(line);
        r = cJSON_IsObject(o) ? take_answer(t, o, line, err) : protocol_error(err, line);
        cJSON_Delete(o);
    }
    memmove(j->buf, j->buf + begin, j->used - begin);
    j->used -= begin;
    if (r == T3D_OK && j->used == MAX_LINE)
        r = t3d_err_set(err, T3D_SKIP, "judge-overflow",
                        "the judge wrote a line of more than %d bytes", MAX_LINE);
    return r;
}

static int hear(struct talk *t, struct t3d_err *err)
{
    struct t3d_judge *j = t->j;
    ssize_t n = read(j->out, j->buf + j->used, MAX_LINE - j->used);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? T3D_OK
                                                 : t3d_err_sys(err, "cannot read", "the judge");
    if (n == 0)
        return say_death(j, err);
    j->used += (size_t)n;
    return take_lines(t, err);
}

static int speak(struct talk *t, struct t3d_err *err)
{
    ssize_t n = write(t->j->in, t->text + t->sent, t->size - t->sent);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? T3D_OK : say_death(t->j, err);
    t->sent += (size_t)n;
    t->alive_s = t3d_clock_s();
    return T3D_OK;
}

/* Until all that was asked is answered. */
static int converse(struct talk *t, struct t3d_err *err)
{
    struct t3d_judge *j = t->j;

    t->alive_s = t3d_clock_s();
    while (left(t)) {
        struct pollfd p[2] = {{.fd = j->out, .events = POLLIN},
                              {.fd = t->sent < t->size ? j->in : -1, .events = POLLOUT}};
        int before = left(t), r = T3D_OK;

        if (t3d_stop_requested())
            return T3D_END;
        if (poll(p, 2, POLL_MS) < 0 && errno != EINTR)
            return t3d_err_sys(err, "cannot wait for", "the judge");
        if (p[0].revents)
            r = hear(t, err);
        if (r == T3D_OK && p[1].revents && left(t))
            r = speak(t, err);
        if (r < 0)
            return r;
        if (left(t) < before)
            t->alive_s = t3d_clock_s();
        if (t3d_clock_s() - t->alive_s > j->o.timeout_s)
            return t3d_err_set(err, T3D_SKIP, "judge-timeout",
                               "the judge has not answered for %g seconds", j->o.timeout_s);
    }
    return T3D_OK;
}

/* One attempt at the questions that are open. What goes wrong with the judge itself goes wrong for
 * all of them. */
static int attempt(struct talk *t, const int *open, struct t3d_err *err)
{
    struct t3d_err why = {0};
    int r = start_child(t->j, err);

    t->text = NULL;
    t->size = t->sent = 0;
    if (r == T3D_OK)
        r = write_questions(t, open, err);
    if (r == T3D_OK) {
        r = converse(t, &why);
        for (int i = 0; i < t->n && r < 0; i++)
            if (t->id[i])
                t->answer[i].err = why;
    }
    if (r != T3D_OK)
        stop_child(t->j);
    memset(t->id, 0, (size_t)t->n * sizeof *t->id);
    free(t->text);
    if (r != T3D_SKIP && r < 0 && why.code && err)
        *err = why;
    return r == T3D_SKIP ? T3D_OK : r;
}

/* T3D_END when a stop was requested. */
static int wait_s(double seconds)
{
    double end = t3d_clock_s() + seconds;

    while (t3d_clock_s() < end && !t3d_stop_requested())
        poll(NULL, 0, 20);
    return t3d_stop_requested() ? T3D_END : T3D_OK;
}

static int try_all(struct talk *t, int *open, struct t3d_err *err)
{
    double pause = t->j->o.pause_s;
    int n = 1, r = T3D_OK;

    for (int k = 0; k < t->j->o.attempts && n && r == T3D_OK; k++) {
        if (k) {
            r = wait_s(fmin(pause, MAX_PAUSE_S));
            pause *= 2;
        }
        for (int i = 0; i < t->n; i++)
            t->answer[i].attempts += open[i];
        if (r == T3D_OK)
            r = attempt(t, open, err);
        n = 0;
        for (int i = 0; i < t->n; i++) {
            const struct t3d_err *e = &t->answer[i].err;
            int final = strcmp(e->reason, "judge-error") == 0 && e->value == 0;

            open[i] = open[i] && !t->answer[i].text && !final;
            n += open[i];
        }
    }
    return r;
}

/* --- asking ---------------------------------------------------------------------------------- */

static int key_of(const struct t3d_judge *j, const cJSON *question, const char *private,
                  char key[65], struct t3d_err *err)
{
    cJSON *q = cJSON_Duplicate(question, 1);
    struct t3d_sha256 *h;
    char *text;
    int r;

    if (q && private)
        cJSON_DeleteItemFromObjectCaseSensitive(q, private);
    text = q ? t3d_json_text(q, 1) : NULL;
    cJSON_Delete(q);
    r = text ? t3d_sha256_new(&h, err) : t3d_err_nomem(err, "a question");
    if (r == T3D_OK) {
        t3d_sha256_add_str(h, "judge 1");
        t3d_sha256_add_str(h, j->name);
        t3d_sha256_add_str(h, text);
        t3d_sha256_end(h, key);
    }
    free(text);
    return r;
}

/* 1 when the answer is known. */
static int recall(const struct t3d_judge *j, const char *key, t3d_answer_check *check,
                  struct t3d_answer *a)
{
    const cJSON *known = t3d_memo_find(j->memo, key);
    const char *text = t3d_json_str(known, "text", NULL);
    struct t3d_err ignored;

    if (!text || (check && check(text, &ignored) < 0))
        return 0;
    a->text = strdup(text);
    a->attempts = (int)t3d_json_num(known, "attempts", 1);
    return a->text != NULL;
}

static int remember(struct t3d_judge *j, const char *key, const struct t3d_answer *a,
                    struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "judge", j->name);
    t3d_json_set_str(o, "text", a->text);
    t3d_json_set_num(o, "attempts", a->attempts);
    return t3d_memo_put(j->memo, key, o, err);
}

int t3d_judge_ask(struct t3d_judge *j, cJSON *const *question, int n, t3d_answer_check *check,
                  const char *private, struct t3d_answer *answer, struct t3d_err *err)
{
    struct talk t = {.j = j, .question = question, .answer = answer, .n = n, .check = check};
    char(*key)[65] = calloc((size_t)n + 1, sizeof *key);
    int *open = calloc((size_t)n + 1, sizeof *open), *fresh = calloc((size_t)n + 1, sizeof *fresh),
        r = T3D_OK;

    t.id = calloc((size_t)n + 1, sizeof *t.id);
    memset(answer, 0, (size_t)n * sizeof *answer);
    if (!key || !open || !fresh || !t.id)
        r = t3d_err_nomem(err, "the questions");
    for (int i = 0; i < n && r == T3D_OK; i++) {
        r = key_of(j, question[i], private, key[i], err);
        if (r == T3D_OK)
            fresh[i] = open[i] = !recall(j, key[i], check, &answer[i]);
    }
    if (r == T3D_OK)
        r = try_all(&t, open, err);
    for (int i = 0; i < n && r >= 0 && fresh; i++)
        if (fresh[i] && answer[i].text) {
            int s = remember(j, key[i], &answer[i], err);
            r = s < 0 ? s : r;
        }
    free(key);
    free(open);
    free(fresh);
    free(t.id);
    return r;
}

/* --- opening --------------------------------------------------------------------------------- */

static int check_name(const char *text, struct t3d_err *err)
{
    size_t n = strlen(text);

    if (n >= 1 && n < NAME &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == n)
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "judge-protocol",
                       "the judge calls itself '%.80s': a name is [A-Za-z0-9._+-]{1,64}", text);
}

/* Nothing is remembered of this: the name must be that of the program that runs now. */
static int ask_name(struct t3d_judge *j, struct t3d_err *err)
{
    cJSON *hello = cJSON_CreateObject();
    struct t3d_answer a = {0};
    uint64_t id = 0;
    struct talk t = {
        .j = j, .question = &hello, .answer = &a, .id = &id, .n = 1, .check = check_name};
    int open = 1, r;

    t3d_json_set_str(hello, "task", "hello");
    t3d_json_set_num(hello, "protocol", PROTOCOL);
    r = try_all(&t, &open, err);
    cJSON_Delete(hello);
    if (r == T3D_OK && !a.text) {
        if (err)
            *err = a.err;
        r = a.err.code;
    }
    if (r == T3D_OK)
        snprintf(j->name, sizeof j->name, "%s", a.text);
    free(a.text);
    return r;
}

int t3d_judge_open(struct t3d_judge **out, const struct t3d_judge_options *o, struct t3d_memo *memo,
                   struct t3d_err *err)
{
    struct t3d_judge *j = calloc(1, sizeof *j);
    int r;

    if (!j)
        return t3d_err_nomem(err, "the judge");
    j->o = *o;
    j->memo = memo;
    j->command = strdup(o->command);
    j->buf = malloc(MAX_LINE + 1);
    r = j->command && j->buf ? ask_name(j, err) : t3d_err_nomem(err, "the judge");
    if (r == T3D_OK)
        *out = j;
    else
        t3d_judge_close(j);
    return r;
}

void t3d_judge_close(struct t3d_judge *j)
{
    if (!j)
        return;
    stop_child(j);
    free(j->command);
    free(j->buf);
    free(j);
}

const char *t3d_judge_name(const struct t3d_judge *j)
{
    return j->name;
}
