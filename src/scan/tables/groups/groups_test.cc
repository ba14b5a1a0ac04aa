// --by: what stands in a group, what is left over, and that memory has a bound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"
#include "scan/tables/groups/groups_text.h"
#include "scan/tables/where/where.h"

namespace tcpwhy::scan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t ms = 1'000'000;

// A connection to that server, whose handshake took that long; as it ended.
ConnectionRecord connection(std::string_view server, std::uint16_t port, std::int64_t handshake_ns,
                            bool reset = false) {
  static std::uint64_t frame = 0;
  ConnectionRecord record;
  record.addresses[opener] = {*wire::IpAddress::parse("192.0.2.1"), 40000};
  record.addresses[listener] = {*wire::IpAddress::parse(server), port};
  record.opener_known = true;
  record.first_frame = ++frame;
  record.opening = Opening::handshake;
  record.ending = Ending::closed;
  record.closed_by = opener;
  record.ends[listener].bytes = 1000;
  record.ends[listener].segments = record.ends[opener].segments = 5;
  if (handshake_ns >= 0) record.listener_rtt_ns = handshake_ns - 1, record.opener_rtt_ns = 1;
  if (!reset) return record;
  record.ending = Ending::reset;
  record.closed_by = record.reset_by = listener;
  record.reset_cause = tcp::ResetCause::unread_data;
  record.reset_frame = frame;
  return record;
}

Groups groups_by(std::string_view field, std::span<const ConnectionRecord> records) {
  const auto grouping = Grouping::parse(field);
  EXPECT_TRUE(grouping) << field;
  Groups groups(*grouping);
  for (const auto& record : records) {
    const auto problems = problems_of(record);
    groups.put({record, problems, {}});
  }
  return groups;
}

std::vector<std::string> names_of(const Groups::Shown& shown) {
  std::vector<std::string> names;
  for (const auto& [name, group] : shown.groups) names.push_back(name);
  return names;
}

const std::vector<ConnectionRecord>& example() {
  static const std::vector<ConnectionRecord> records{
      connection("198.51.100.7", 443, 10 * ms),     connection("198.51.100.7", 443, 20 * ms, true),
      connection("198.51.100.7", 443, 1000 * ms),   connection("198.51.100.9", 80, -1, true),
      connection("203.0.113.5", 80, 5 * ms),        connection("203.0.113.5", 80, 5 * ms),
      connection("2001:db8:1:2:3::4", 443, 7 * ms),
  };
  return records;
}

TEST(Groups, are_counted_largest_first) {
  const auto shown = groups_by("server", example()).shown(10, {});
  EXPECT_EQ(names_of(shown), (std::vector<std::string>{"198.51.100.7:443", "203.0.113.5:80", "198.51.100.9:80",
                                                       "[2001:db8:1:2:3::4]:443"}));
  const Group& first = shown.groups[0].second;
  EXPECT_EQ(first.connections, 3U);
  EXPECT_EQ(first.wrong, 1U);
  EXPECT_EQ(first.bytes, 3000U);
  EXPECT_EQ(first.endings[static_cast<std::size_t>(Ending::reset)], 1U);
  EXPECT_EQ(first.endings[static_cast<std::size_t>(Ending::closed)], 2U);
  EXPECT_EQ(first.handshake.count(), 3U);
  EXPECT_NEAR(static_cast<double>(first.handshake.quantile(0.5)), 20.0 * ms, 2.0 * ms);
  EXPECT_NEAR(static_cast<double>(first.handshake.quantile(0.99)), 1000.0 * ms, 70.0 * ms);
  EXPECT_EQ(shown.groups[2].second.handshake.count(), 0U) << "its handshake was not seen";
  EXPECT_EQ(shown.others.groups, 0U);
  EXPECT_FALSE(shown.at_least);
}

TEST(Groups, what_is_not_shown_is_one_group_more) {
  const auto shown = groups_by("server", example()).shown(1, {});
  ASSERT_EQ(shown.groups.size(), 1U);
  EXPECT_EQ(shown.others.groups, 3U);
  EXPECT_EQ(shown.others.connections, 4U);
  EXPECT_EQ(shown.others.wrong, 1U);
  EXPECT_EQ(shown.others.handshake.count(), 3U);
  EXPECT_EQ(shown.groups_in_all, 4U);
}

TEST(Groups, by_network_and_by_lengths_of_ones_own) {
  EXPECT_THAT(names_of(groups_by("server.net", example()).shown(10, {})),
              testing::ElementsAre("198.51.100.0/24", "203.0.113.0/24", "2001:db8:1:2::/64"));
  EXPECT_THAT(names_of(groups_by("server.ip/4", example()).shown(10, {})),
              testing::ElementsAre("192.0.0.0/4", "2001:db8:1:2::/64"));
  EXPECT_THAT(names_of(groups_by("server.ip/24/32", example()).shown(10, {})), testing::Contains("2001:db8::/32"));
}

TEST(Groups, a_connection_is_in_the_group_of_each_of_its_problems_and_one_without_in_that_of_none) {
  auto records = example();
  records[1].ends[listener].zero_windows = 2, records[1].ends[listener].longest_shut_ns = 10'000 * ms;
  const auto shown = groups_by("problems", records).shown(10, {});
  EXPECT_THAT(names_of(shown), testing::ElementsAre("", "capture.reset.unread_data", "capture.zero_window"));
  EXPECT_EQ(shown.groups[0].second.connections, 5U);
  EXPECT_EQ(shown.groups[1].second.connections, 2U);
  EXPECT_EQ(shown.groups[2].second.connections, 1U);
}

TEST(Groups, are_sorted_by_any_of_their_columns) {
  const auto groups = groups_by("server", example());
  const auto first_by = [&](std::string_view sort) {
    return groups.shown(1, *GroupOrder::parse(sort)).groups[0].first;
  };
  EXPECT_EQ(first_by("-rtt.p99"), "198.51.100.7:443");
  EXPECT_EQ(first_by("rtt.p99"), "203.0.113.5:80");
  EXPECT_EQ(first_by("-ending.reset"), "198.51.100.7:443");
  EXPECT_EQ(first_by("connections"), "198.51.100.9:80");
  // What is not known stands last, whichever way.
  for (const char* sort : {"rtt.p50", "-rtt.p50"})
    EXPECT_EQ(groups.shown(9, *GroupOrder::parse(sort)).groups.back().first, "198.51.100.9:80");
}

TEST(Groups, what_cannot_be_grouped_is_refused) {
  const auto refusal = [](std::string_view text) {
    const auto grouping = Grouping::parse(text);
    EXPECT_FALSE(grouping) << text;
    return grouping ? "" : grouping.error().message.en + "\n" + grouping.error().hint.en;
  };
  EXPECT_THAT(refusal("bytes"), HasSubstr("bytes has too many values for groups\nthere are client, server"));
  EXPECT_THAT(refusal("closedby"), HasSubstr("did you mean closed.by?"));
  for (const char* text : {"", "server/24", "client.ip/33", "client.ip/0", "client.ip/", "client.ip/24/129",
                           "client.ip/24/64/1", "server.port/24", "began", "stream", "community.id"})
    refusal(text);
  EXPECT_FALSE(GroupOrder::parse("rtt"));
  EXPECT_THAT(GroupOrder::parse("connection").error().hint.en, HasSubstr("did you mean connections?"));
}

TEST(Groups, each_is_what_its_where_selects) {
  auto records = example();
  records[0].icmp = {.frame = 1, .error = {.reporter = {}, .type = 3, .code = 3}};
  for (const Field& field : fields()) {
    if (!has_few_values(field)) continue;
    const Groups groups = groups_by(field.name, records);
    for (const auto& [name, group] : groups.shown(10, {}).groups) {
      const auto where = Where::parse(groups.grouping().where(name));
      ASSERT_TRUE(where) << groups.grouping().where(name) << ": " << where.error().message.en;
      std::uint64_t selected = 0;
      for (const auto& record : records) {
        const auto problems = problems_of(record);
        selected += where->holds({record, problems, {}}) ? 1 : 0;
      }
      EXPECT_EQ(selected, group.connections) << groups.grouping().where(name);
    }
  }
}

// A scan of a whole network: 65,536 servers and more, each of them once; one of them again and again.
TEST(Groups, have_a_bound_and_say_where_they_reached_it) {
  const auto grouping = Grouping::parse("server.ip");
  Groups groups(*grouping);
  ConnectionRecord record = connection("10.0.0.0", 22, -1);
  constexpr unsigned scanned = 70'000;
  for (unsigned i = 0; i < scanned; ++i) {
    record.addresses[listener].ip.bytes[1] = static_cast<std::uint8_t>(i >> 16U);
    record.addresses[listener].ip.bytes[2] = static_cast<std::uint8_t>(i >> 8U);
    record.addresses[listener].ip.bytes[3] = static_cast<std::uint8_t>(i);
    groups.put({record, {}, {}});
    if (i % 10 == 0) groups.put({connection("198.51.100.7", 443, ms), {}, {}});
  }
  const auto shown = groups.shown(1, {});
  EXPECT_TRUE(shown.at_least);
  EXPECT_EQ(shown.groups[0].first, "198.51.100.7");
  EXPECT_EQ(shown.groups[0].second.connections, scanned / 10) << "the largest is never put together with others";
  EXPECT_EQ(shown.others.connections, scanned);
  const auto all = groups.shown(Groups::most, {});
  EXPECT_LE(all.groups.size(), Groups::most);
  const std::string text = groups_text({.name = "x", .groups = groups, .shown = all, .of = std::nullopt}, {});
  EXPECT_THAT(text, HasSubstr("More groups than are told apart (10,000)"));
}

// ---- how they are shown

std::string text_of(const Groups& groups, std::size_t top, base::Language language,
                    std::optional<std::uint64_t> of = std::nullopt, Extent extent = Extent::whole) {
  const auto shown = groups.shown(top, {});
  return groups_text({.name = "x.pcap", .extent = extent, .groups = groups, .shown = shown, .of = of},
                     {.language = language, .width = 80});
}

TEST(GroupsText, tells_each_in_a_line_of_numbers_and_what_happened_below) {
  const Groups groups = groups_by("server.ip", example());
  EXPECT_EQ(text_of(groups, 2, base::Language::en),
            "x.pcap\n"
            "7 connections, 4 groups by server.ip\n"
            "\n"
            "server.ip     connections  wrong   bytes  rtt p50     p90     p99\n"
            "198.51.100.7            3      1  3000 B  21.0 ms  1.01 s  1.01 s\n"
            "    closed 2, reset 1\n"
            "    reset.unread_data 1\n"
            "203.0.113.5             2      0  2000 B   5.2 ms  5.2 ms  5.2 ms\n"
            "    closed 2\n"
            "(2 others)              2      1  2000 B   7.1 ms  7.1 ms  7.1 ms\n"
            "    closed 1, reset 1\n"
            "    reset.unread_data 1\n"
            "\n"
            "--top N shows more of them; --where 'server.ip=198.51.100.7' only the first of\n"
            "these\n");
  EXPECT_EQ(text_of(groups, 1, base::Language::zh, 9),
            "x.pcap\n"
            "9 个连接中的 7 个，按 server.ip 分为 4 组\n"
            "\n"
            "server.ip      连接  有问题    字节  RTT p50     p90     p99\n"
            "198.51.100.7      3       1  3000 B  21.0 ms  1.01 s  1.01 s\n"
            "    正常关闭 2，复位 1\n"
            "    reset.unread_data 1\n"
            "（其他 3 组）     4       1  4000 B   5.2 ms  7.1 ms  7.1 ms\n"
            "    正常关闭 3，复位 1\n"
            "    reset.unread_data 1\n"
            "\n"
            "--top N 显示更多分组；--where 'server.ip=198.51.100.7' 只看其中第一组\n");
}

TEST(GroupsText, fits_the_width_whatever_the_names) {
  const std::vector<ConnectionRecord> long_names{
      connection("2001:db8:1111:2222:3333:4444:5555:6666", 65535, 999 * ms, true)};
  for (const auto language : {base::Language::en, base::Language::zh}) {
    const std::string text = text_of(groups_by("server", long_names), 10, language);
    EXPECT_THAT(text, HasSubstr("\n[2001:db8:1111:2222:3333:4444:5555:6666]:65535\n"));
    for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
      EXPECT_LE(base::display_width(rest.substr(0, rest.find('\n'))), 80U) << text;
  }
}

TEST(GroupsText, none_and_not_all) {
  const Groups groups = groups_by("server", {});
  EXPECT_EQ(text_of(groups, 10, base::Language::en, 150'000), "x.pcap\n0 of 150,000 connections\n");
  EXPECT_EQ(text_of(groups, 10, base::Language::zh, 150'000), "x.pcap\n150,000 个连接中的 0 个\n");
  EXPECT_THAT(text_of(groups, 10, base::Language::en, {}, Extent::stopped), HasSubstr("a signal ended the reading"));
  EXPECT_THAT(text_of(groups, 10, base::Language::zh, {}, Extent::cut), HasSubstr("并非整个抓包"));
  EXPECT_THAT(text_of(groups, 10, base::Language::en), Not(HasSubstr("Not the whole")));
}

TEST(GroupsText, as_records) {
  const Groups groups = groups_by("closed.by", example());
  auto records = example();
  for (auto& record : records) record.closed_by.reset();
  const Groups unknown = groups_by("closed.by", records);
  const auto shown = groups.shown(1, {}), shown_unknown = unknown.shown(1, {});
  const GroupsView view{.name = "x", .groups = groups, .shown = shown, .of = 9};
  const std::string csv = groups_csv(view);
  EXPECT_THAT(csv, testing::StartsWith("closed_by,others,groups,connections,wrong,bytes,"));
  EXPECT_THAT(csv, HasSubstr("\nclient,false,1,5,0,5000,"));
  EXPECT_THAT(csv, HasSubstr("\n,true,1,2,2,2000,"));
  EXPECT_THAT(csv, HasSubstr(",capture.reset.unread_data=2\n"));
  const auto document = nlohmann::json::parse(groups_json(view));
  EXPECT_EQ(document["schema"], groups_schema);
  EXPECT_EQ(document["of"], 9);
  EXPECT_EQ(document["capture"], "whole");
  ASSERT_EQ(document["groups"].size(), 2U);
  EXPECT_EQ(document["groups"][0]["closed_by"], "client");
  EXPECT_EQ(document["groups"][0]["ending_closed"], 5);
  EXPECT_EQ(document["groups"][1]["others"], true);
  EXPECT_EQ(document["groups"][1]["problems"]["capture.reset.unread_data"], 2);
  const auto line = nlohmann::json::parse(
      groups_ndjson({.name = "x", .groups = unknown, .shown = shown_unknown, .of = std::nullopt}));
  EXPECT_TRUE(line["closed_by"].is_null());
  EXPECT_EQ(line["others"], false);
}

}  // namespace
}  // namespace tcpwhy::scan
