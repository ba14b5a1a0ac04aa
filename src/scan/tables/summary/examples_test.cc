// "Look at these first" tells different things, and of each how many there are.
#include "scan/tables/summary/examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "scan/tables/summary/summary_text.h"
#include "scan/tables/where/where.h"

namespace tcpwhy::scan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t shut_ns = 10'000'000'000;  // for so long a server did not read

ConnectionRecord to_server(unsigned server, std::uint64_t bytes = 0) {
  static std::uint64_t frame = 0;
  ConnectionRecord record;
  record.addresses[opener] = {*wire::IpAddress::parse("192.0.2.1"), 40000};
  record.addresses[listener] = {*wire::IpAddress::parse("10.0.0.0"), 443};
  record.addresses[listener].ip.bytes[2] = static_cast<std::uint8_t>(server >> 8U);
  record.addresses[listener].ip.bytes[3] = static_cast<std::uint8_t>(server);
  record.opener_known = true;
  record.first_frame = ++frame;
  record.opening = Opening::handshake;
  record.ends[opener].segments = record.ends[listener].segments = 5;
  record.ends[opener].bytes = bytes;
  return record;
}
ConnectionRecord aborted(unsigned server, std::uint64_t bytes = 0) {
  ConnectionRecord record = to_server(server, bytes);
  record.ending = Ending::reset;
  record.reset_cause = tcp::ResetCause::unread_data;
  record.reset_frame = record.first_frame;
  return record;
}
ConnectionRecord stalled(unsigned server) {
  ConnectionRecord record = to_server(server);
  record.ends[listener].zero_windows = 1, record.ends[listener].longest_shut_ns = shut_ns;
  return record;
}
ConnectionRecord unanswered(unsigned server) {
  ConnectionRecord record = to_server(server);
  record.opening = Opening::unanswered;
  record.ends[listener].segments = 0;
  return record;
}

void put(Examples& examples, const ConnectionRecord& record) { examples.put(record, problems_of(record)); }
std::string_view id_of(const Example& example) { return example.worst.problems.front().rule->id; }

TEST(Examples, one_for_each_server_and_problem_with_the_number_of_all) {
  Examples examples;
  for (int i = 0; i < 40; ++i) put(examples, aborted(1));
  put(examples, aborted(1, 1000));
  put(examples, aborted(2));
  put(examples, stalled(1));
  put(examples, to_server(3));
  const auto chosen = examples.chosen(10);
  ASSERT_EQ(chosen.size(), 3U);
  EXPECT_EQ(chosen[0].worst.record.bytes(), 1000U) << "the worst of the 41";
  EXPECT_EQ(chosen[0].connections, 41U);
  EXPECT_EQ(chosen[0].where(), "problems=capture.reset.unread_data and server=10.0.0.1:443");
  EXPECT_EQ(chosen[1].connections, 1U);
  EXPECT_EQ(id_of(chosen[2]), "capture.zero_window");
  for (const Example& example : chosen) EXPECT_FALSE(example.at_least);
}

// What has a worse problem too is no example of this one, but one of those that --where shows.
TEST(Examples, all_that_have_the_problem_are_counted) {
  Examples examples;
  ConnectionRecord both = aborted(1);
  both.ends[listener].zero_windows = 1, both.ends[listener].longest_shut_ns = shut_ns;
  put(examples, both);
  put(examples, stalled(1));
  const auto chosen = examples.chosen(10);
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(id_of(chosen[1]), "capture.zero_window");
  EXPECT_EQ(chosen[1].connections, 2U);
  const auto where = Where::parse(chosen[1].where());
  for (const auto& record : {both, stalled(1)}) {
    const auto problems = problems_of(record);
    EXPECT_TRUE(where->holds({record, problems, {}}));
  }
}

TEST(Examples, a_scan_does_not_fill_the_list_while_there_is_something_else) {
  Examples examples;
  for (unsigned server = 0; server < 200; ++server) put(examples, aborted(server));
  for (unsigned server = 0; server < 2; ++server) put(examples, stalled(server)), put(examples, unanswered(server));
  std::map<std::string_view, int> ids;
  for (const Example& example : examples.chosen(10)) ++ids[id_of(example)];
  EXPECT_EQ(ids["capture.zero_window"], 2);
  EXPECT_EQ(ids["capture.unanswered"], 2);
  EXPECT_EQ(ids["capture.reset.unread_data"], 6) << "the room that is left";
  EXPECT_EQ(id_of(examples.chosen(10).front()), "capture.reset.unread_data") << "the severest first";
}

TEST(Examples, have_a_bound_and_say_where_they_reached_it) {
  Examples examples;
  for (unsigned server = 0; server < 5000; ++server) put(examples, aborted(server));
  put(examples, aborted(17, 1'000'000));
  const auto chosen = examples.chosen(10'000);
  EXPECT_LE(chosen.size(), Examples::servers_a_problem);
  EXPECT_EQ(chosen.front().worst.record.bytes(), 1'000'000U);
  EXPECT_TRUE(chosen.front().at_least);
}

TEST(Examples, do_not_depend_on_the_order_in_which_connections_end) {
  std::vector<ConnectionRecord> records;
  for (unsigned i = 0; i < 100; ++i) records.push_back(i % 3 == 0 ? stalled(i % 7) : aborted(i % 5, i % 4));
  Examples one, other;
  for (const auto& record : records) put(one, record);
  for (auto record = records.rbegin(); record != records.rend(); ++record) put(other, *record);
  const auto a = one.chosen(10), b = other.chosen(10);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].worst.record.first_frame, b[i].worst.record.first_frame);
    EXPECT_EQ(a[i].connections, b[i].connections);
  }
}

// ---- in the summary

std::string summary_of(std::span<const ConnectionRecord> records, base::Language language,
                       std::optional<std::uint64_t> of = std::nullopt, Extent extent = Extent::whole) {
  Examples examples;
  Summary summary;
  StreamNumbers streams;
  for (const auto& record : records) {
    const auto problems = problems_of(record);
    examples.put(record, problems);
    summary.add(record, problems);
    streams.put(record.first_frame);
  }
  streams.sort();
  Outcome outcome;
  outcome.totals.frames = outcome.totals.segments = 1000;
  const auto first = examples.chosen(10);
  return summary_text({.name = "x.pcap",
                       .outcome = outcome,
                       .extent = extent,
                       .summary = summary,
                       .of = of,
                       .first = first,
                       .streams = streams},
                      {.language = language, .width = 80});
}

TEST(SummaryText, says_how_to_see_the_others) {
  std::vector<ConnectionRecord> records;
  for (int i = 0; i < 1200; ++i) records.push_back(aborted(1));
  EXPECT_THAT(
      summary_of(records, base::Language::en),
      HasSubstr("1,200 in all: --where 'problems=capture.reset.unread_data and\n             server=10.0.0.1:443'"));
  EXPECT_THAT(
      summary_of(records, base::Language::zh),
      HasSubstr("共 1,200 个：--where 'problems=capture.reset.unread_data and\n             server=10.0.0.1:443'"));
  records.resize(1);
  EXPECT_THAT(summary_of(records, base::Language::en), Not(HasSubstr("in all"))) << "there are no others";
}

TEST(SummaryText, says_how_many_of_how_many) {
  const std::vector<ConnectionRecord> records{aborted(1)};
  EXPECT_THAT(summary_of({}, base::Language::en, 150'000), HasSubstr("\n0 of 150,000 connections\n"));
  EXPECT_THAT(summary_of({}, base::Language::zh, 150'000), HasSubstr("\n150,000 个连接中的 0 个\n"));
  EXPECT_THAT(summary_of(records, base::Language::en, 150'000), HasSubstr("\n1 of 150,000 connections, "));
  EXPECT_THAT(summary_of(records, base::Language::en), HasSubstr("\n1 connection, ")) << "all were wanted";
}

TEST(SummaryText, says_first_that_it_is_not_of_all) {
  const std::vector<ConnectionRecord> records{aborted(1)};
  EXPECT_THAT(summary_of(records, base::Language::en, {}, Extent::cut),
              testing::StartsWith("x.pcap\nNot the whole capture: it is cut"));
  EXPECT_THAT(summary_of(records, base::Language::en, {}, Extent::stopped),
              testing::StartsWith("x.pcap\nNot the whole capture: a signal ended the reading"));
  EXPECT_THAT(summary_of(records, base::Language::zh, {}, Extent::stopped),
              testing::StartsWith("x.pcap\n并非整个抓包：读取被信号中止"));
  EXPECT_THAT(summary_of(records, base::Language::en), Not(HasSubstr("Not the whole")));
}

}  // namespace
}  // namespace tcpwhy::scan
