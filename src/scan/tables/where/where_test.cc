#include "scan/tables/where/where.h"

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
  return where.error().message.en + "\n" + where.error().hint.en;
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

TEST(Where, ends_are_compared_by_address_network_and_port) {
  EXPECT_TRUE(holds("client = 192.0.2.1"));
  EXPECT_TRUE(holds("client = 192.0.2.1:40000"));
  EXPECT_FALSE(holds("client = 192.0.2.1:40001"));
  EXPECT_TRUE(holds("client = 192.0.2.0/24"));
  EXPECT_FALSE(holds("client = 192.0.3.0/24"));
  EXPECT_TRUE(holds("client != 192.0.3.0/24"));
  EXPECT_FALSE(holds("client != 192.0.2.0/24"));
  EXPECT_TRUE(holds("server = :443"));
  EXPECT_TRUE(holds("server = 443"));
  EXPECT_FALSE(holds("server = :80"));
  EXPECT_TRUE(holds("server.ip = 198.51.100.0/25"));
  EXPECT_TRUE(holds("server.net = 198.51.100.0/24"));
  EXPECT_TRUE(holds("server.ip = ::ffff:198.51.100.7"));
  EXPECT_FALSE(holds("server.ip = ::1"));
  EXPECT_TRUE(holds("not client = [2001:db8::1]:80 and not client = 2001:db8::/32"));
}

TEST(Where, a_server_in_ipv6) {
  ConnectionRecord record = example();
  record.addresses[listener] = {*wire::IpAddress::parse("2001:db8:1::7"), 443};
  const auto holds_here = [&](std::string_view text) {
    const auto where = Where::parse(text);
    EXPECT_TRUE(where) << text;
    return where && where->holds({record, {}, {}});
  };
  EXPECT_TRUE(holds_here("server = 2001:db8:1::7"));
  EXPECT_TRUE(holds_here("server = [2001:DB8:1:0::7]:443"));
  EXPECT_TRUE(holds_here("server = 2001:db8::/32"));
  EXPECT_FALSE(holds_here("server = 2001:db8::/48"));
  EXPECT_FALSE(holds_here("server = 0.0.0.0/0"));
  EXPECT_TRUE(holds_here("server ~ db8"));
}

TEST(Where, times_are_whole_nanoseconds) {
  ConnectionRecord record = example();
  record.ended_ns = 1'100'000'000;
  EXPECT_TRUE(Where::parse("duration = 1.1s")->holds({record, {}, {}}));
  EXPECT_FALSE(Where::parse("duration = 1.1000001s")->holds({record, {}, {}}));
}

TEST(Where, yes_and_no_are_true_and_false) {
  EXPECT_TRUE(holds("reset = yes and reset.assumed = no and reset = true"));
  EXPECT_FALSE(holds("reset != yes"));
}

// What no connection can be is a mistake, and not a capture without such connections.
TEST(Where, values_that_a_field_never_has_are_refused) {
  EXPECT_THAT(refusal("closed.by=servr"), HasSubstr("column 11: closed.by is never \"servr\""));
  EXPECT_THAT(refusal("closed.by=servr"), HasSubstr("did you mean server? closed.by is client, server"));
  EXPECT_THAT(refusal("closed.by!=servr"), HasSubstr("is never"));
  EXPECT_THAT(refusal("not closed.by=servr"), HasSubstr("is never"));
  EXPECT_THAT(refusal("bytes or (closed.by=servr)"), HasSubstr("is never"));
  EXPECT_THAT(refusal("problems=loss"), HasSubstr("did you mean capture.loss?"));
  EXPECT_THAT(refusal("problems ~ banana"), HasSubstr("problems never contains \"banana\""));
  EXPECT_THAT(refusal("severity=chat"), HasSubstr("severity is error, warning, note"));
  EXPECT_THAT(refusal("icmp=port-unreachable"), HasSubstr("port unreachable"));
  EXPECT_THAT(refusal("reset=maybe"), HasSubstr("reset is true, false"));
  EXPECT_THAT(refusal("client.state=OPEN"), HasSubstr("ESTABLISHED"));
  EXPECT_THAT(refusal("community.id=abc"), HasSubstr("community.id is 1: and 28 characters"));
  EXPECT_THAT(refusal("client=10.0.0"), HasSubstr("client is never \"10.0.0\""));
  EXPECT_THAT(refusal("client=10.0.0.0/33"), HasSubstr("10.0.0.0/24"));
  EXPECT_THAT(refusal("client ~ example"), HasSubstr("is never"));
  EXPECT_THAT(refusal("client.ip=10.0.0.1:80"), HasSubstr("client.ip has no port"));
  EXPECT_THAT(refusal("client.ip=10.0.0.1:80"), HasSubstr("client=10.0.0.1:80"));
  EXPECT_THAT(refusal("server.port=70000"), HasSubstr("server.port is never 70000"));
  EXPECT_THAT(refusal("server.port>65535"), HasSubstr("server.port is 0 to 65535"));
  EXPECT_THAT(refusal("bytes<0"), HasSubstr("never"));
  EXPECT_THAT(refusal("bytes=-1"), HasSubstr("never"));
  EXPECT_THAT(refusal("segments=1.5"), HasSubstr("whole number"));
  EXPECT_THAT(refusal("bytes=many"), HasSubstr("expected a number"));
  EXPECT_THAT(refusal("bytes ~ 3"), HasSubstr("bytes is a number: = != < <= > >="));
  EXPECT_THAT(refusal("ending < reset"), HasSubstr("ending is no number: = != ~"));
  EXPECT_THAT(refusal("reset > 0"), HasSubstr("reset is no number: = !="));
}

TEST(Where, values_that_a_field_may_have_are_not) {
  for (const char* text :
       {"closed.by=client", "closed.by != server", "ending=half-closed", "ending ~ closed", "problems ~ reset",
        "client.state=TIME-WAIT", "server.state='?'", "server.port<=65535", "bytes>=0", "duration<0s", "segments<1.5",
        "client ~ 10.0.", "icmp='port unreachable'", "community.id ~ abc", "began > 1000"})
    EXPECT_TRUE(Where::parse(text)) << text;
}

// Every value that the table of fields lists can be asked for.
TEST(Where, takes_all_values_that_the_fields_list) {
  for (const Field& field : fields()) {
    if (field.values.words == nullptr) continue;
    for (const std::string_view word : field.values.words())
      EXPECT_TRUE(Where::parse(std::string(field.name) + "='" + std::string(word) + "'")) << field.name << word;
  }
}

TEST(Where, mistakes_are_pointed_at) {
  EXPECT_THAT(refusal("resett"), HasSubstr("no field \"resett\""));
  EXPECT_THAT(refusal("resett"), HasSubstr("did you mean reset?"));
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
