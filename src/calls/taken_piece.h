// calls::Piece (memory.h) as those know it who take the caller's memory along: the BPF program and the recorder
// inside a process. Plain C for them.
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

enum taken_shape { SHAPE_BYTES, SHAPE_MESSAGE, SHAPE_VECTORS, SHAPE_VALUE_LENGTH };  // calls::Piece::Shape

struct taken_piece {
  __u8 at_exit, shape, pointer_argument;
  __s8 length_argument;
  __u16 constant;
  __u8 element;
  __u8 reserved;
};
