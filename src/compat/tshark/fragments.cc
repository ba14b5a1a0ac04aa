#include "compat/tshark/fragments.h"

#include <algorithm>

namespace tcpwhy::compat::tshark {
namespace {

// What a kept part costs beside its bytes.
constexpr std::size_t part_overhead = 128;
constexpr std::size_t longest_packet = 65'535;

}  // namespace

// Nothing while there is a hole. Where parts overlap, the bytes of that which begins first stand, or of that which came
// first.
std::optional<std::vector<std::uint8_t>> FragmentTable::join(const Packet& packet) {
  if (!packet.length) return std::nullopt;
  std::vector<const Part*> in_order;
  for (const Part& part : packet.parts) in_order.push_back(&part);
  std::ranges::stable_sort(in_order, {}, &Part::offset);
  std::vector<std::uint8_t> whole;
  for (const Part* part : in_order) {
    if (part->offset > whole.size()) return std::nullopt;
    const std::size_t known = std::min(whole.size() - part->offset, part->bytes.size());
    whole.insert(whole.end(), part->bytes.begin() + static_cast<std::ptrdiff_t>(known), part->bytes.end());
  }
  if (whole.size() < *packet.length) return std::nullopt;
  whole.resize(*packet.length);
  return whole;
}

void FragmentTable::forget(std::map<FragmentKey, Packet>::iterator packet) {
  held_ -= packet->second.held;
  by_age_.erase(packet->second.age);
  waiting_.erase(packet);
}

void FragmentTable::keep_within_bound() {
  while (held_ > most_bytes) forget(waiting_.find(by_age_.front()));
}

std::optional<std::vector<std::uint8_t>> FragmentTable::add(const FragmentKey& key, const Fragment& fragment) {
  if (fragment.offset + fragment.bytes.size() > longest_packet) return std::nullopt;
  const auto [at, is_new] = waiting_.try_emplace(key);
  Packet& packet = at->second;
  if (is_new) packet.age = by_age_.insert(by_age_.end(), key);
  const auto bytes = fragment.bytes.span();
  packet.parts.push_back({.offset = fragment.offset, .bytes = {bytes.begin(), bytes.end()}});
  packet.held += bytes.size() + part_overhead;
  held_ += bytes.size() + part_overhead;
  if (!fragment.more && !packet.length) packet.length = fragment.offset + bytes.size();
  auto whole = join(packet);
  if (whole) forget(at);
  keep_within_bound();
  return whole;
}

}  // namespace tcpwhy::compat::tshark
