/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-4's examples: the messages "abc", of 448 bits, of 896 bits, of a million letters a, and
 * none. */
static const struct {
    const char *text;
    const char *hex;
} vector[] = {
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnop"
     "qrs"
     "mnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void known_answers(void **state)
{
    char hex[T3D_SHA256_HEX];

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(vector); i++) {
        t3d_sha256_hex(vector[i].text, strlen(vector[i].text), hex);
        assert_string_equal(hex, vector[i].hex);
    }
}

static void a_million_letters_in_pieces(void **state)
{
    struct t3d_sha256 *h;
    char hex[T3D_SHA256_HEX], piece[997];
    size_t left = 1000000;

    (void)state;
    memset(piece, 'a', sizeof piece);
    assert_int_equal(t3d_sha256_new(&h, NULL), T3D_OK);
    while (left) {
        size_t n = T3D_MIN(left, sizeof piece);

        t3d_sha256_add(h, piece, n);
        left -= n;
    }
    t3d_sha256_end(h, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void of_strings(const char *a, const char *b, char hex[T3D_SHA256_HEX])
{
    struct t3d_sha256 *h;

    assert_int_equal(t3d_sha256_new(&h, NULL), T3D_OK);
    t3d_sha256_add_str(h, a);
    t3d_sha256_add_str(h, b);
    t3d_sha256_end(h, hex);
}

static void strings_keep_their_ends(void **state)
{
    char one[T3D_SHA256_HEX], two[T3D_SHA256_HEX];

    (void)state;
    of_strings("ab", "c", one);
    of_strings("a", "bc", two);
    assert_string_not_equal(one, two);
}

static void hash64_is_the_head_of_sha256(void **state)
{
    (void)state;
    assert_true(t3d_hash64("abc") == 0xba7816bf8f01cfeau);
    assert_true(t3d_hash64("") == 0xe3b0c44298fc1c14u);
}

static void hex_and_back(void **state)
{
    unsigned char all[256], back[256];
    char hex[513];

    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    t3d_hex(all, sizeof all, hex);
    assert_int_equal(strlen(hex), 512);
    assert_int_equal(t3d_unhex(hex, sizeof back, back), 0);
    assert_memory_equal(all, back, sizeof all);
    assert_int_equal(t3d_unhex("0G", 1, back), -1);
    assert_int_equal(t3d_unhex("000", 1, back), -1);
    assert_int_equal(t3d_unhex("0", 1, back), -1);
    assert_int_equal(t3d_unhex("fF", 1, back), 0);
    assert_int_equal(back[0], 255);
}

/* RFC 4648, section 10. */
static void base64_vectors(void **state)
{
    static const char *const text[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const want[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    char out[16];

    (void)state;
    for (int i = 0; i < 7; i++) {
        t3d_base64(text[i], strlen(text[i]), out);
        assert_string_equal(out, want[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_vectors),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(a_million_letters_in_pieces),
        cmocka_unit_test(strings_keep_their_ends),
        cmocka_unit_test(hash64_is_the_head_of_sha256),
        cmocka_unit_test(hex_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
