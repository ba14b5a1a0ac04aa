#include "scan/tables/nearest.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace tcpwhy::scan {
namespace {

constexpr std::array<std::string_view, 6> words{"client", "server",       "half-closed",
                                                "reset",  "capture.loss", "capture.reset.third_party"};

TEST(Nearest, a_letter_too_few_too_many_another_or_two_exchanged) {
  EXPECT_EQ(nearest("servr", words), "server");
  EXPECT_EQ(nearest("serverr", words), "server");
  EXPECT_EQ(nearest("sarver", words), "server");
  EXPECT_EQ(nearest("cleint", words), "client");
  EXPECT_EQ(nearest("Client", words), "client");
  EXPECT_EQ(nearest("half_closed", words), "half-closed");
}

TEST(Nearest, the_end_of_a_word_behind_its_dot) {
  EXPECT_EQ(nearest("loss", words), "capture.loss");
  EXPECT_EQ(nearest("third-party", words), "capture.reset.third_party");
}

TEST(Nearest, nothing_where_nothing_is_near) {
  EXPECT_EQ(nearest("banana", words), "");
  EXPECT_EQ(nearest("x", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest("oss", words), "") << "not behind a dot";
  EXPECT_EQ(nearest(std::string(10'000, 'a'), words), "");
}

}  // namespace
}  // namespace tcpwhy::scan
