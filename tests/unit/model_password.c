/* Random passwords: the rules of AWS_BEHAVIOUR 3.11, and that every password that keeps them is
 * equally likely.
 *
 * The statistics are over a deterministic source, so that they cannot fail by chance; the seed is
 * printed, REDOUBT_SEED=n takes another. The thresholds are passed by chance once in a million
 * seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/limits.h"
#include "model/password.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUNCTUATION "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
#define UPPERCASE   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWERCASE   "abcdefghijklmnopqrstuvwxyz"

static uint64_t rng;

static uint64_t roll(void) {
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void random_bytes(void *ctx, void *out, size_t len) {
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)out)[i] = (uint8_t)(roll() >> 24);
    }
}

static const struct password_source source = {.random = random_bytes};

static int setup(void **state) {
    const char *given = getenv("REDOUBT_SEED");

    rng = given != NULL ? strtoull(given, NULL, 10) : 20261124;
    print_message("seed %llu\n", (unsigned long long)rng);
    return 0;
}

/* A string; one buffer. */
static const char *password(const struct password_rules *rules) {
    static char out[LIMIT_PASSWORD + 1];
    struct err err;

    memset(out, 0, sizeof(out));
    if (password_make(rules, &source, out, &err) != OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(strlen(out), rules->length);
    return out;
}

static void refused(const struct password_rules *rules, const char *sentence) {
    char out[LIMIT_PASSWORD];
    struct err err;

    assert_int_equal(password_make(rules, &source, out, &err), ERR_INVALID_PARAMETER);
    assert_string_equal(err.message, sentence);
}

/* --- The rules --- */

static bool has_any(const char *text, const char *of) {
    return text[strcspn(text, of)] != '\0';
}

/* 3.11: "at least one of each remaining class". */
static void each_type_is_there(void **state) {
    const struct password_rules rules = {.length = 4, .require_each_type = true};

    for (int i = 0; i < 2000; i++) {
        const char *text = password(&rules);
        assert_true(has_any(text, UPPERCASE));
        assert_true(has_any(text, LOWERCASE));
        assert_true(has_any(text, "0123456789"));
        assert_true(has_any(text, PUNCTUATION));
        assert_false(has_any(text, " "));
    }
}

static void types_are_excluded(void **state) {
    struct password_rules rules = {.length = 60, .require_each_type = true};

    rules.exclude_uppercase = true;
    assert_false(has_any(password(&rules), UPPERCASE));
    rules.exclude_lowercase = true;
    assert_false(has_any(password(&rules), UPPERCASE LOWERCASE));
    rules.exclude_numbers = true;
    assert_int_equal(strspn(password(&rules), PUNCTUATION), 60);
    rules.exclude_numbers = false;
    rules.exclude_punctuation = true;
    assert_int_equal(strspn(password(&rules), "0123456789"), 60);
}

/* All of the alphabet occurs, and nothing else; 94 characters, with the space 95. */
static void the_alphabet(void **state) {
    struct password_rules rules = {.length = LIMIT_PASSWORD, .require_each_type = true};
    const char *text = password(&rules);

    for (int c = '!'; c <= '~'; c++) {
        assert_non_null(strchr(text, c));
    }
    for (size_t i = 0; text[i] != '\0'; i++) {
        assert_true(text[i] >= '!' && text[i] <= '~');
    }
    rules.include_space = true;
    assert_non_null(strchr(password(&rules), ' '));
    /* A space may occur and is not required: four types fit into four characters. */
    rules.length = 4;
    for (int i = 0; i < 100; i++) {
        assert_false(has_any(password(&rules), " "));
    }
    rules.require_each_type = false;
    rules.exclude_uppercase = rules.exclude_lowercase = true;
    rules.exclude_numbers = rules.exclude_punctuation = true;
    assert_string_equal(password(&rules), "    ");
}

/* Any text may be excluded: what is not in the alphabet does no harm. */
static void characters_are_excluded(void **state) {
    static char much[LIMIT_PASSWORD + 1];
    struct password_rules rules = {
        .length = 4000, .exclude = "/@\"'\\ äöü€\n\t0Oo", .require_each_type = true};
    const char *text = password(&rules);

    assert_false(has_any(text, "/@\"'\\0Oo"));
    assert_true(has_any(text, "1"));
    memset(much, 'x', LIMIT_PASSWORD);
    rules.exclude = much;
    assert_false(has_any(password(&rules), "x"));
    rules.exclude = " ";
    rules.include_space = true;
    assert_false(has_any(password(&rules), " "));
    rules.exclude = "";
    assert_true(has_any(password(&rules), " "));
}

static void refusals(void **state) {
#define TOO_SHORT  "Password length is too short based on the required types."
#define NO_TYPE    "All characters of the desired type have been excluded"
#define NO_NOTHING "All characters have been excluded from selection"
    struct password_rules rules = {.length = 3, .require_each_type = true};

    refused(&rules, TOO_SHORT);
    rules.exclude_punctuation = true;
    (void)password(&rules);
    rules.length = 2;
    refused(&rules, TOO_SHORT);
    rules.require_each_type = false;
    (void)password(&rules);
    rules.length = 1;
    (void)password(&rules);

    rules =
        (struct password_rules){.length = 32, .exclude = "0123456789", .require_each_type = true};
    refused(&rules, NO_TYPE);
    rules.exclude_numbers = true; /* then nobody desires it */
    assert_false(has_any(password(&rules), "0123456789"));
    rules.exclude_numbers = false;
    rules.require_each_type = false;
    assert_false(has_any(password(&rules), "0123456789"));

    rules = (struct password_rules){.length = 32,
                                    .exclude = UPPERCASE LOWERCASE PUNCTUATION "0123456789"};
    refused(&rules, NO_NOTHING);
    rules.require_each_type = true;
    refused(&rules, NO_NOTHING);
    rules.include_space = true;
    refused(&rules, NO_TYPE);
    rules.require_each_type = false;
    assert_int_equal(strspn(password(&rules), " "), 32);
    rules = (struct password_rules){.length = 32,
                                    .exclude_lowercase = true,
                                    .exclude_uppercase = true,
                                    .exclude_numbers = true,
                                    .exclude_punctuation = true,
                                    .require_each_type = true};
    refused(&rules, NO_NOTHING);
}

static void zero_bytes(void *ctx, void *out, size_t len) {
    memset(out, *(const int *)ctx, len);
}

static void a_source_that_stands_still_is_noticed(void **state) {
    const struct password_rules rules = {.length = 32, .require_each_type = true};
    int value = 0;
    const struct password_source still = {.random = zero_bytes, .ctx = &value};
    char out[32];
    struct err err;

    assert_int_equal(password_make(&rules, &still, out, &err), ERR_INTERNAL_SERVICE);
    value = 255; /* which is never used */
    assert_int_equal(password_make(&rules, &still, out, &err), ERR_INTERNAL_SERVICE);
}

/* --- Equally likely --- */

static void counting_bytes(void *ctx, void *out, size_t len) {
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)out)[i] = (uint8_t)(*(unsigned *)ctx)++;
    }
}

/* Of all bytes once, every character gets as many: 256 is no multiple of 94. */
static void no_character_gets_more_bytes(void **state) {
    const struct password_rules rules = {.length = 2 * 94};
    unsigned next = 0;
    const struct password_source all = {.random = counting_bytes, .ctx = &next};
    unsigned counts[128] = {0};
    char out[2 * 94];
    struct err err;

    assert_int_equal(password_make(&rules, &all, out, &err), OK);
    assert_true(next <= 256);
    for (size_t i = 0; i < sizeof(out); i++) {
        counts[(unsigned char)out[i]]++;
    }
    for (int c = '!'; c <= '~'; c++) {
        assert_int_equal(counts[c], 2);
    }
}

static double chi_square(const unsigned *counts, const double *expected, size_t n) {
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double off = counts[i] - expected[i];
        assert_true(expected[i] >= 5);
        sum += off * off / expected[i];
    }
    return sum;
}

static void characters_are_even(void **state) {
    enum { ROUNDS = 100, CHARACTERS = 94 };
    const struct password_rules rules = {.length = LIMIT_PASSWORD};
    unsigned counts[CHARACTERS] = {0};
    double expected[CHARACTERS];
    double chi;

    for (int round = 0; round < ROUNDS; round++) {
        const char *text = password(&rules);
        for (size_t i = 0; i < rules.length; i++) {
            counts[text[i] - '!']++;
        }
    }
    for (size_t i = 0; i < CHARACTERS; i++) {
        expected[i] = ROUNDS * (double)LIMIT_PASSWORD / CHARACTERS;
    }
    chi = chi_square(counts, expected, CHARACTERS);
    print_message("characters: chi square %.1f, 93 degrees of freedom\n", chi);
    assert_true(chi < 167.0);
}

/* "ABa1!" alone, six characters long: of the 15625 texts those with every type are all equally
 * likely, and there is no other. */
enum { FEW = 6, KINDS = 5, FEW_TEXTS = 15625, FEW_VALID = 4920, FEW_TRIES = 40 };

static void few_texts(char out[FEW_TEXTS][FEW + 1], bool valid[FEW_TEXTS], unsigned *ret_n) {
    static const char few[] = "ABa1!";

    *ret_n = 0;
    for (unsigned i = 0; i < FEW_TEXTS; i++) {
        unsigned rest = i;
        for (int k = 0; k < FEW; k++) {
            out[i][k] = few[rest % KINDS];
            rest /= KINDS;
        }
        out[i][FEW] = '\0';
        valid[i] = has_any(out[i], "AB") && has_any(out[i], "a") && has_any(out[i], "1") &&
                   has_any(out[i], "!");
        *ret_n += valid[i] ? 1 : 0;
    }
}

static unsigned few_index(const char *text) {
    unsigned index = 0;

    for (int k = FEW - 1; k >= 0; k--) {
        index = index * KINDS + (unsigned)(strchr("ABa1!", text[k]) - "ABa1!");
    }
    return index;
}

/* As one is tempted to do it: one of each type first, the rest of all, shuffled. */
static const char *biased_password(void) {
    static const char all[] = "ABa1!";
    static char out[FEW + 1];

    (void)snprintf(out, sizeof(out), "%ca1!%c%c", all[roll() % 2], all[roll() % KINDS],
                   all[roll() % KINDS]);
    for (size_t i = FEW - 1; i > 0; i--) {
        size_t k = roll() % (i + 1);
        char swap = out[i];
        out[i] = out[k];
        out[k] = swap;
    }
    return out;
}

static void whole_passwords_are_even(void **state) {
    static char texts[FEW_TEXTS][FEW + 1];
    static bool valid[FEW_TEXTS];
    char exclude[128] = "";
    size_t n_excluded = 0;
    struct password_rules rules = {.length = FEW, .exclude = exclude, .require_each_type = true};
    unsigned n = 0;

    few_texts(texts, valid, &n);
    for (int c = '!'; c <= '~'; c++) {
        if (strchr("ABa1!", c) == NULL) {
            exclude[n_excluded++] = (char)c;
        }
    }
    for (int biased = 0; biased < 2; biased++) {
        static unsigned found[FEW_TEXTS];
        static unsigned counts[FEW_TEXTS];
        static double expected[FEW_TEXTS];
        unsigned k = 0;
        double chi;
        memset(found, 0, sizeof(found));
        for (unsigned i = 0; i < n * FEW_TRIES; i++) {
            found[few_index(biased ? biased_password() : password(&rules))]++;
        }
        for (unsigned i = 0; i < FEW_TEXTS; i++) {
            if (valid[i]) {
                counts[k] = found[i];
                expected[k++] = FEW_TRIES;
            } else {
                assert_int_equal(found[i], 0);
            }
        }
        chi = chi_square(counts, expected, n);
        print_message("%u passwords%s: chi square %.1f\n", n, biased ? ", biased" : "", chi);
        /* The test would see what it is for. */
        assert_int_equal(n, FEW_VALID);
        assert_true(biased ? chi > 7000 : chi < 5410);
    }
}

/* What type stands at which place, against the exact probabilities over all sequences of types. */
static void places_are_even(void **state) {
    enum { LENGTH = 6, TYPES = 4, SEQUENCES = 4096, ROUNDS = 60000 };
    static const double sizes[TYPES] = {26, 26, 10, 32};
    const struct password_rules rules = {.length = LENGTH, .require_each_type = true};
    double expected[LENGTH][TYPES] = {{0}};
    unsigned counts[LENGTH][TYPES] = {{0}};
    double total = 0;

    for (unsigned i = 0; i < SEQUENCES; i++) {
        double weight = 1;
        unsigned types = 0;
        for (int k = 0; k < LENGTH; k++) {
            unsigned type = i >> (2 * k) & 3;
            weight *= sizes[type];
            types |= 1U << type;
        }
        if (types == (1U << TYPES) - 1) {
            total += weight;
            for (int k = 0; k < LENGTH; k++) {
                expected[k][i >> (2 * k) & 3] += weight;
            }
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        const char *text = password(&rules);
        for (int k = 0; k < LENGTH; k++) {
            counts[k][isupper(text[k]) ? 0 : islower(text[k]) ? 1 : isdigit(text[k]) ? 2 : 3]++;
        }
    }
    for (int k = 0; k < LENGTH; k++) {
        double chi;
        for (int type = 0; type < TYPES; type++) {
            expected[k][type] *= ROUNDS / total;
        }
        chi = chi_square(counts[k], expected[k], TYPES);
        print_message("place %d: chi square %.1f, 3 degrees of freedom\n", k, chi);
        assert_true(chi < 30.7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_there),
        cmocka_unit_test(types_are_excluded),
        cmocka_unit_test(the_alphabet),
        cmocka_unit_test(characters_are_excluded),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_source_that_stands_still_is_noticed),
        cmocka_unit_test(no_character_gets_more_bytes),
        cmocka_unit_test(characters_are_even),
        cmocka_unit_test(whole_passwords_are_even),
        cmocka_unit_test(places_are_even),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
