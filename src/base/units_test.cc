#include "base/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace tcpwhy::base {
namespace {

using namespace std::chrono_literals;

TEST(InWords, takes_the_unit_that_reads_best) {
  EXPECT_EQ(in_words(0ns), "0 µs");
  EXPECT_EQ(in_words(38us), "38 µs");
  EXPECT_EQ(in_words(4270us), "4.27 ms");
  EXPECT_EQ(in_words(42100us), "42.1 ms");
  EXPECT_EQ(in_words(1020ms), "1.02 s");
  EXPECT_EQ(in_words(2h), "7200.00 s");
}

TEST(AgeInWords, tells_the_two_largest_units_and_leaves_out_a_zero) {
  EXPECT_EQ(age_in_words(999'999us), "999 ms");
  EXPECT_EQ(age_in_words(12'345ms), "12 s");
  EXPECT_EQ(age_in_words(1min), "1 min");
  EXPECT_EQ(age_in_words(62s), "1 min 2 s");
  EXPECT_EQ(age_in_words(3h), "3 h");
  EXPECT_EQ(age_in_words(3h + 2min + 59s), "3 h 2 min");
  EXPECT_EQ(age_in_words(52h), "2 d 4 h");
}

TEST(DurationCell, goes_on_in_a_unit_to_twice_the_next) {
  EXPECT_EQ(duration_cell(38us), "38 us");
  EXPECT_EQ(duration_cell(4270us), "4.3 ms");
  EXPECT_EQ(duration_cell(119s), "119.00 s");
  EXPECT_EQ(duration_cell(2min), "2.0 min");
  EXPECT_EQ(duration_cell(119min), "119.0 min");
  EXPECT_EQ(duration_cell(2h), "2.0 h");
  EXPECT_EQ(duration_cell(48h), "2.0 d");
}

TEST(DurationInTenths, rounds_to_the_last_figure_shown) {
  EXPECT_EQ(duration_in_tenths(49us), "0.0 ms");
  EXPECT_EQ(duration_in_tenths(50us), "0.1 ms");
  EXPECT_EQ(duration_in_tenths(999'949us), "999.9 ms");
  EXPECT_EQ(duration_in_tenths(999'950us), "1.0 s");
  EXPECT_EQ(duration_in_tenths(119s), "119.0 s");
  EXPECT_EQ(duration_in_tenths(150s), "3 min");
}

TEST(SecondsInWords, shows_no_needless_zero) {
  EXPECT_EQ(seconds_in_words(10s), "10 s");
  EXPECT_EQ(seconds_in_words(250ms), "0.25 s");
  EXPECT_EQ(seconds_in_words(100s), "100 s");
}

TEST(MillisecondsInWords, keeps_its_unit) {
  EXPECT_EQ(milliseconds_in_words(340us), "0.3 ms");
  EXPECT_EQ(milliseconds_in_words(1500ms), "1500.0 ms");
}

TEST(BytesInWords, tells_up_to_9999_of_a_unit) {
  EXPECT_EQ(bytes_in_words(0), "0 B");
  EXPECT_EQ(bytes_in_words(9999), "9999 B");
  EXPECT_EQ(bytes_in_words(10'000), "10.0 kB");
  EXPECT_EQ(bytes_in_words(9'999'900), "9999.9 kB");
  EXPECT_EQ(bytes_in_words(10'000'000), "10.0 MB");
  EXPECT_EQ(bytes_in_words(12'000'000'000), "12.0 GB");
}

TEST(BytesInWholeUnits, cuts) {
  EXPECT_EQ(bytes_in_whole_units(9999), "9999 B");
  EXPECT_EQ(bytes_in_whole_units(10'999), "10 kB");
  EXPECT_EQ(bytes_in_whole_units(41'999'999), "41 MB");
}

TEST(Grouped, puts_a_comma_before_each_three_digits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1240), "1,240");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(grouped(std::numeric_limits<std::uint64_t>::max()), "18,446,744,073,709,551,615");
}

}  // namespace
}  // namespace tcpwhy::base
