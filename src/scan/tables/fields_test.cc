#include "scan/tables/fields.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace tcpwhy::scan {
namespace {

// A refused connection of which everything is known that can be.
ConnectionRecord known_in_full() {
  ConnectionRecord record;
  constexpr std::array<std::uint8_t, 4> client{10, 0, 0, 1}, server{10, 0, 0, 2};
  record.addresses[opener] = {wire::IpAddress::v4(client), 4000};
  record.addresses[listener] = {wire::IpAddress::v4(server), 80};
  record.opener_known = true;
  record.first_frame = 1, record.last_frame = 2, record.began_ns = 5, record.ended_ns = 7;
  record.listener_rtt_ns = record.opener_rtt_ns = 3;
  record.ends[opener].srtt_us = record.ends[listener].srtt_us = 4;
  record.opening = Opening::refused, record.ending = Ending::reset;
  record.closed_by = record.reset_by = listener, record.reset_frame = 2, record.reset_cause = tcp::ResetCause::refused;
  record.icmp.frame = 2;
  return record;
}

TEST(Fields, have_values_of_their_types) {
  const ConnectionRecord record = known_in_full();
  const auto problems = problems_of(record);
  ASSERT_FALSE(problems.empty());
  const Row row{record, problems, 0};
  const auto index_of = [](Type type) {
    switch (type) {
      case Type::boolean: return FieldValue(true).index();
      case Type::text:
      case Type::end:
      case Type::address:
      case Type::network: return FieldValue(std::string()).index();
      case Type::list: return FieldValue(std::vector<std::string_view>()).index();
      case Type::integer: break;
    }
    return FieldValue(std::int64_t{0}).index();
  };
  for (const Field& field : fields()) EXPECT_EQ(field.value(row).index(), index_of(field.type)) << field.name;
}

TEST(Fields, tell_the_values_that_they_can_have) {
  const ConnectionRecord record = known_in_full();
  const auto problems = problems_of(record);
  const Row row{record, problems, 0};
  for (const Field& field : fields()) {
    EXPECT_FALSE(values_in_words(field).empty()) << field.name;
    const FieldValue value = field.value(row);
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      EXPECT_GE(*number, field.values.least) << field.name;
      EXPECT_LE(*number, field.values.most) << field.name;
    }
    if (field.values.may_be != nullptr) {
      EXPECT_TRUE(field.values.may_be(std::get<std::string>(value))) << field.name;
    }
    if (field.values.words == nullptr) continue;
    const auto words = field.values.words();
    std::vector<std::string_view> had;
    if (const auto* text = std::get_if<std::string>(&value)) had.emplace_back(*text);
    if (const auto* list = std::get_if<std::vector<std::string_view>>(&value)) had = *list;
    EXPECT_FALSE(had.empty()) << field.name;
    for (const auto word : had) EXPECT_NE(std::ranges::find(words, word), words.end()) << field.name << " " << word;
  }
}

TEST(Fields, few_values_are_those_that_connections_can_be_grouped_by) {
  for (const char* name : {"client", "server.ip", "server.port", "client.net", "ending", "closed.by", "reset",
                           "reset.cause", "problems", "icmp", "severity"})
    EXPECT_TRUE(has_few_values(*find_field(name))) << name;
  for (const char* name : {"stream", "frame", "began", "duration", "bytes", "server.rtt", "community.id"})
    EXPECT_FALSE(has_few_values(*find_field(name))) << name;
}

TEST(Fields, a_name_that_is_none_has_a_nearest_one) {
  EXPECT_EQ(nearest_field("closedby"), "closed.by");
  EXPECT_EQ(nearest_field("port"), "server.port");
  EXPECT_EQ(nearest_field("retransmision"), "retransmissions");
  EXPECT_EQ(nearest_field("banana"), "");
}

}  // namespace
}  // namespace tcpwhy::scan
