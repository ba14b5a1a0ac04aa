#include "wire/ip/icmp_error.h"

#include <algorithm>
#include <span>
#include <vector>

#include "wire/ip/icmp_words.h"

namespace tcpwhy::wire {
namespace {

struct Row {
  std::uint8_t type;
  int code;  // -1: any other
  std::string_view words;
};

// RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1.
constexpr Row rows4[] = {
    {3, 0, "network unreachable"},
    {3, 1, "host unreachable"},
    {3, 2, "protocol unreachable"},
    {3, 3, "port unreachable"},
    {3, 4, "fragmentation needed"},
    {3, 5, "source route failed"},
    {3, 6, "network unknown"},
    {3, 7, "host unknown"},
    {3, 8, "source host isolated"},
    {3, 9, "network administratively prohibited"},
    {3, 10, "host administratively prohibited"},
    {3, 11, "network unreachable for this type of service"},
    {3, 12, "host unreachable for this type of service"},
    {3, 13, "communication administratively prohibited"},
    {3, 14, "host precedence violation"},
    {3, 15, "precedence cutoff in effect"},
    {3, -1, "destination unreachable"},
    {4, -1, "source quench"},
    {5, -1, "redirect"},
    {11, 0, "time to live exceeded in transit"},
    {11, 1, "reassembly time exceeded"},
    {11, -1, "time exceeded"},
    {12, -1, "parameter problem"},
};

// RFC 4443 3.
constexpr Row rows6[] = {
    {1, 0, "no route to destination"},
    {1, 1, "communication administratively prohibited"},
    {1, 2, "beyond scope of source address"},
    {1, 3, "address unreachable"},
    {1, 4, "port unreachable"},
    {1, 5, "source address failed ingress policy"},
    {1, 6, "reject route to destination"},
    {1, -1, "destination unreachable"},
    {2, -1, "packet too big"},
    {3, 0, "hop limit exceeded in transit"},
    {3, 1, "reassembly time exceeded"},
    {3, -1, "time exceeded"},
    {4, -1, "parameter problem"},
};

constexpr std::string_view words_of_others = "ICMP error";

}  // namespace

std::vector<std::string_view> icmp_error_words() {
  std::vector<std::string_view> all;
  for (const std::span<const Row> rows : {std::span<const Row>(rows4), std::span<const Row>(rows6)})
    for (const Row& row : rows)
      if (std::ranges::find(all, row.words) == all.end()) all.push_back(row.words);
  all.push_back(words_of_others);
  return all;
}

std::string_view words_for(const IcmpError& error) {
  const std::span<const Row> rows =
      error.reporter.family == IpFamily::v6 ? std::span<const Row>(rows6) : std::span<const Row>(rows4);
  const auto row = std::ranges::find_if(
      rows, [&](const Row& r) { return r.type == error.type && (r.code == error.code || r.code == -1); });
  return row == rows.end() ? words_of_others : row->words;
}

}  // namespace tcpwhy::wire
