// The least that any analysis of a capture does:  bare_loop_measure FILE
//
// Walks the records, parses the headers and touches a flow table: two counters per flow, no states, no classes. What
// tools/measure-read compares the full analysis with. Prints packets, TCP segments and flows.
#include <fmt/format.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdio>

#include "capfile/formats/reader.h"
#include "scan/connections/flow_key.h"
#include "wire/packet.h"

namespace tcpwhy::scan {
namespace {

struct Counters {
  std::uint64_t segments = 0, bytes = 0;
};
struct Hash {
  using is_avalanching = void;
  std::size_t operator()(const FlowKey& key) const { return hash_of(key, 1); }
};

int run(const char* path) {
  auto reader = capfile::CaptureReader::open(path);
  if (!reader) return std::fputs((reader.error().message.en + "\n").c_str(), stderr), 3;
  boost::unordered_flat_map<FlowKey, Counters, Hash> flows;
  wire::DissectedPacket packet;
  std::uint64_t packets = 0, segments = 0;
  while (true) {
    const auto record = reader->next_packet();
    if (!record) return std::fputs((record.error().message.en + "\n").c_str(), stderr), 3;
    if (*record == nullptr) break;
    ++packets;
    wire::dissect_into(packet, (*record)->link_type, (*record)->bytes, (*record)->original_length);
    if (packet.kind != wire::Dissection::tcp) continue;
    ++segments;
    Counters& flow = flows[key_of(packet.segment)];
    ++flow.segments;
    flow.bytes += packet.segment.payload_length;
  }
  fmt::print("{} packets, {} segments, {} flows\n", packets, segments, flows.size());
  return 0;
}

}  // namespace
}  // namespace tcpwhy::scan

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("bare_loop_measure FILE\n", stderr), 2;
  return tcpwhy::scan::run(argv[1]);
}
