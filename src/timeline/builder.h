// The steps of timeline::build(), each in a file of its own. Not for other rooms.
#pragma once

#include <map>
#include <vector>

#include "timeline/timeline.h"

namespace tcpwhy::timeline::steps {

// Step 1: packets -> segments in connections, endpoints followed through their states. Fills connections, segments.
void assemble_connections(Timeline& timeline);

// Step 2: calls paired and tied to the connection whose socket they act on. Fills calls, and the sides' actors and names.
void attach_calls(Timeline& timeline);

// Step 3: what made each segment leave. Needs 1 and 2.
void find_causes(Timeline& timeline);

// Step 4: the kernel's samples held against the derived states. Needs 1.
void confirm_states(Timeline& timeline);

// Step 5: all events in causal order, with the states after each. Needs all before.
void order_entries(Timeline& timeline);

}  // namespace tcpwhy::timeline::steps
