// What a call did, held against what was expected of it: the whole table.
#include "lab/language/expectation.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

namespace tcpwhy::lab {
namespace {

CallOutcome returned(std::int64_t result, int error = 0) {
  return {.returned = true,
          .result = result,
          .error = error,
          .value = result,
          .bytes = {},
          .signals = {},
          .killed_by = {},
          .exited_with = {}};
}

Expectation number(std::int64_t value) {
  Expectation e;
  e.kind = Expectation::Kind::number;
  e.number = value;
  return e;
}

Expectation error(int value, std::vector<int> signals = {}) {
  Expectation e;
  e.kind = Expectation::Kind::error;
  e.error = value;
  e.signals = std::move(signals);
  return e;
}

bool holds(const Expectation& expected, const CallOutcome& actual, CallId call = CallId::send) {
  return !compare(expected, call, actual);
}

TEST(Expectation, without_words_a_call_must_not_fail) {
  EXPECT_TRUE(holds({}, returned(0)));
  EXPECT_FALSE(holds({}, returned(-1, EPIPE)));
  EXPECT_FALSE(holds({}, {}));
}

TEST(Expectation, a_number_is_the_result_and_no_error) {
  EXPECT_TRUE(holds(number(14), returned(14)));
  EXPECT_FALSE(holds(number(14), returned(13)));
  EXPECT_FALSE(holds(number(-1), returned(-1, EPIPE)));
}

TEST(Expectation, of_getsockopt_and_poll_it_is_the_value) {
  CallOutcome so_error = returned(0);
  so_error.value = ECONNRESET;
  EXPECT_TRUE(holds(number(ECONNRESET), so_error, CallId::getsockopt));
  EXPECT_FALSE(holds(number(0), so_error, CallId::getsockopt));
}

TEST(Expectation, bytes_are_all_of_them) {
  Expectation hello;
  hello.kind = Expectation::Kind::bytes;
  hello.bytes = "hello";
  CallOutcome outcome = returned(5);
  outcome.bytes = "hello";
  EXPECT_TRUE(holds(hello, outcome, CallId::recv));
  outcome.result = 6;  // one more than was kept
  EXPECT_FALSE(holds(hello, outcome, CallId::recv));
}

TEST(Expectation, a_signal_is_expected_or_it_is_a_mismatch) {
  CallOutcome handled = returned(-1, EPIPE);
  handled.signals = {SIGPIPE};
  EXPECT_TRUE(holds(error(EPIPE, {SIGPIPE}), handled));
  EXPECT_FALSE(holds(error(EPIPE), handled));
  EXPECT_FALSE(holds(error(EPIPE, {SIGPIPE}), returned(-1, EPIPE)));
  EXPECT_TRUE(holds(error(EPIPE), returned(-1, EPIPE)));
  EXPECT_FALSE(holds(error(ECONNRESET), returned(-1, EPIPE)));
}

TEST(Expectation, a_signal_that_kills_in_the_call_is_seen_as_well) {
  CallOutcome killed;
  killed.killed_by = SIGPIPE;
  EXPECT_TRUE(holds(error(EPIPE, {SIGPIPE}), killed));
  EXPECT_FALSE(holds(error(EPIPE), killed));
  EXPECT_FALSE(holds({}, killed));
  EXPECT_EQ(describe(killed), "+++ killed by SIGPIPE +++");
}

TEST(Expectation, exit_and_kill_need_not_return) {
  CallOutcome gone;
  gone.exited_with = 3;
  EXPECT_TRUE(holds({}, gone, CallId::exit));
  EXPECT_FALSE(holds({}, gone, CallId::send));
}

}  // namespace
}  // namespace tcpwhy::lab
