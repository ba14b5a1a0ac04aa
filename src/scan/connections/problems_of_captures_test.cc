// What is said of a connection whose capture has its packets more than once, or not whole: it is not told as what the network did.
#include <gtest/gtest.h>

#include <string>

#include "scan/testing/talk.h"

namespace tcpwhy::scan {
namespace {

using namespace scan::testing;

// A snap length of 68 bytes cuts the options behind the time stamps.
TEST(ProblemsOfCaptures, a_window_of_which_the_scale_was_cut_off_is_not_tiny) {
  const auto of_options = [](bool cut) {
    Talk talk;
    talk.c({.window_scale = {}, .cut = cut}, S, 0)
        .s({.window_scale = {}, .window = 500, .cut = cut}, S | A, 0, 1)
        .c(A, 1, 1);
    for (std::uint32_t at = 1; at < 20'000; at += 500)
      talk.c(A, at, 1, 500).s({.window = 500, .cut = cut}, A, 1, at + 500);
    return talk.problems();
  };
  EXPECT_EQ(of_options(false), Ids{"tiny_window"});
  EXPECT_EQ(of_options(true), Ids{});
}

TEST(ProblemsOfCaptures, where_options_were_cut_nothing_tells_that_it_waited_for_a_timer) {
  const auto of_options = [](bool cut) {
    Talk talk;
    talk.c({.sack_permitted = true, .cut = cut}, S, 0).s({.sack_permitted = true, .cut = cut}, S | A, 0, 1).c(A, 1, 1);
    for (std::uint32_t at = 1; at < 1000; at += 100) talk.c(A, at, 1, 100).s({.cut = cut}, A, 1, at + 100);
    talk.c(A, 1001, 1, 100).c(A, 1101, 1, 100).wait(400 * ms).c(A, 1001, 1, 100).s({.cut = cut}, A, 1, 1201);
    return of(talk, "timeout").at(0).grade;
  };
  EXPECT_EQ(of_options(false), explain::Grade::derived);
  EXPECT_EQ(of_options(true), explain::Grade::assumed);
}

TEST(ProblemsOfCaptures, what_lies_before_its_begin_a_capture_does_not_lack) {
  Talk old_copy, first_lost, lacks;
  old_copy.c(A, 1, 1, 100).s({.sack = {{1, 101}}}, A, 1, 5001).c(A, 5001, 1, 100).s(A, 1, 5101);
  first_lost.s(A, 1, 1).c(A, 1, 1, 100).c(A, 5001, 1, 100).s(A, 1, 101).wait(50 * ms).c(A, 101, 1, 100).s(A, 1, 5101);
  lacks.c(A, 1, 1, 100).s(A, 1, 101).c(A, 101, 1, 100).s(A, 1, 201).c(A, 5001, 1, 100).s(A, 1, 5101);
  EXPECT_EQ(old_copy.problems(), Ids{});
  EXPECT_EQ(of(first_lost, "gaps").size(), 0U);
  EXPECT_EQ(lacks.problems(), Ids{"gaps"});
}

}  // namespace
}  // namespace tcpwhy::scan
