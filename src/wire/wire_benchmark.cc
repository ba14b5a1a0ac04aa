// What it costs to dissect one frame:  build/bench_wire
#include <benchmark/benchmark.h>

#include "wire/packet.h"
#include "wire/packet_builder.h"

namespace tcpwhy::wire {
namespace {

using namespace testing;  // NOLINT: the words of the packets below

const ByteString usual_options = {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7};
const ByteString sack_options = usual_options + ByteString{1, 1, 5, 10} + be32(1) + be32(2);
const ByteString syn_options = {2, 4, 0xff, 0xd7, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7, 1, 3, 3, 7};

void dissect_frame(benchmark::State& state, const ByteString& frame, LinkType link_type = LinkType::ethernet) {
  DissectedPacket packet;
  for (auto _ : state) {
    dissect_into(packet, link_type, frame, frame.size());
    benchmark::DoNotOptimize(packet);
  }
}

const ByteString segment = tcp({.options = usual_options}, text("hello"));
const ByteString plain = ethernet(0x0800, ipv4({}, segment));

BENCHMARK_CAPTURE(dissect_frame, ethernet_ipv4_timestamps, plain);
BENCHMARK_CAPTURE(dissect_frame, ethernet_ipv6_timestamps, ethernet(0x86dd, ipv6({}, segment)));
BENCHMARK_CAPTURE(dissect_frame, ethernet_ipv4_no_options, ethernet(0x0800, ipv4({}, tcp({}))));
BENCHMARK_CAPTURE(dissect_frame, ethernet_ipv4_syn, ethernet(0x0800, ipv4({}, tcp({.options = syn_options}))));
BENCHMARK_CAPTURE(dissect_frame, ethernet_ipv4_sack, ethernet(0x0800, ipv4({}, tcp({.options = sack_options}))));
BENCHMARK_CAPTURE(dissect_frame, vlan_ipv4_timestamps, ethernet(0x8100, be16(7) + be16(0x0800) + ipv4({}, segment)));
BENCHMARK_CAPTURE(dissect_frame, cooked_ipv4_timestamps,
                  zeros(2) + be16(1) + zeros(10) + be16(0x0800) + ipv4({}, segment), LinkType::linux_sll);
BENCHMARK_CAPTURE(dissect_frame, vxlan,
                  ethernet(0x0800, ipv4({.protocol = 17}, udp(50000, 4789, be32(0x08000000) + be32(0x500) + plain))));
BENCHMARK_CAPTURE(dissect_frame, udp_of_no_tunnel, ethernet(0x0800, ipv4({.protocol = 17}, udp(50000, 53, zeros(40)))));

}  // namespace
}  // namespace tcpwhy::wire
