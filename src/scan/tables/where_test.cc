#include "scan/tables/where.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tcpwhy::scan {
namespace {

using testing::HasSubstr;

// A client that was reset by its server after 2.5 s and 3,000 bytes.
ConnectionRecord example() {
  ConnectionRecord record;
  record.addresses[opener] = {*wire::IpAddress::parse("192.0.2.1"), 40000};
  record.addresses[listener] = {*wire::IpAddress::parse("198.51.100.7"), 443};
  record.opener_known = true;
  record.opening = Opening::handshake;
  record.ending = Ending::reset;
  record.closed_by = record.reset_by = listener;
  record.reset_cause = tcp::ResetCause::unread_data;
  record.reset_frame = 17;
  record.ended_ns = 2'500'000'000;
  record.ends[opener].bytes = 3000;
  return record;
}

bool holds(const std::string& text) {
  const ConnectionRecord record = example();
  const auto problems = problems_of(record);
  const auto where = Where::parse(text);
  EXPECT_TRUE(where) << text;
  return where && where->holds({record, problems, {}});
}

std::string refusal(const std::string& text) {
  const auto where = Where::parse(text);
  EXPECT_FALSE(where) << text;
  if (where) return {};
  EXPECT_EQ(where.error().kind, base::ErrorKind::usage);
  return where.error().message + "\n" + where.error().hint;
}

TEST(Where, what_the_manual_shows) { EXPECT_TRUE(holds("closed.by=server and reset")); }

TEST(Where, fields_are_compared_in_their_units) {
  EXPECT_TRUE(holds("duration > 2s"));
  EXPECT_TRUE(holds("duration>2400ms and duration<=2.5s"));
  EXPECT_FALSE(holds("duration > 1min"));
  EXPECT_TRUE(holds("bytes>=3kB"));
  EXPECT_TRUE(holds("server.port=443"));
  EXPECT_FALSE(holds("server_port != 443"));
}

TEST(Where, words_and_lists) {
  EXPECT_TRUE(holds("client.ip = 192.0.2.1"));
  EXPECT_TRUE(holds("client ~ 192.0"));
  EXPECT_TRUE(holds("reset.cause='unread-data'"));
  EXPECT_TRUE(holds("problems=capture.reset.unread_data"));
  EXPECT_TRUE(holds("problems ~ unread"));
  EXPECT_TRUE(holds("problems != capture.loss"));
}

TEST(Where, what_is_not_known_compares_with_nothing) {
  EXPECT_FALSE(holds("server.rtt < 1s"));
  EXPECT_FALSE(holds("server.rtt != 1s"));
  EXPECT_TRUE(holds("not server.rtt"));
}

TEST(Where, and_binds_closer_than_or_and_not_closest) {
  EXPECT_TRUE(holds("reset or timeouts and needless"));
  EXPECT_FALSE(holds("(reset or timeouts) and needless"));
  EXPECT_TRUE(holds("not needless and reset"));
  EXPECT_FALSE(holds("not (needless or reset)"));
}

TEST(Where, mistakes_are_pointed_at) {
  EXPECT_THAT(refusal("resett"), HasSubstr("no field \"resett\""));
  EXPECT_THAT(refusal("reset and"), HasSubstr("column 10: expected a field"));
  EXPECT_THAT(refusal("bytes >"), HasSubstr("expected a value"));
  EXPECT_THAT(refusal("bytes > many"), HasSubstr("expected a number"));
  EXPECT_THAT(refusal("bytes > 3s"), HasSubstr("expected a number"));
  EXPECT_THAT(refusal("(reset"), HasSubstr("expected )"));
  EXPECT_THAT(refusal("reset reset"), HasSubstr("expected \"and\", \"or\" or the end"));
  EXPECT_THAT(refusal("client='x"), HasSubstr("not closed"));
  EXPECT_THAT(refusal("bytes <> 3"), HasSubstr("expected = !="));
  EXPECT_THAT(refusal(""), HasSubstr("expected a field"));
  EXPECT_THAT(refusal(std::string(1000, '(')), HasSubstr("nested too deep"));
}

}  // namespace
}  // namespace tcpwhy::scan
