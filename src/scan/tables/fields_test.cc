#include "scan/tables/fields.h"

#include <gtest/gtest.h>

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
      case Type::text: return FieldValue(std::string()).index();
      case Type::list: return FieldValue(std::vector<std::string_view>()).index();
      case Type::integer: break;
    }
    return FieldValue(std::int64_t{0}).index();
  };
  for (const Field& field : fields()) EXPECT_EQ(field.value(row).index(), index_of(field.type)) << field.name;
}

}  // namespace
}  // namespace tcpwhy::scan
