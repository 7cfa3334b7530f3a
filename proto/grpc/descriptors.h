/* descriptors: every .proto of this folder as a serialised google.protobuf.FileDescriptorSet, made
 * by protoc when psd is built; what reflection serves. */
#ifndef PS_GRPC_DESCRIPTORS_H
#define PS_GRPC_DESCRIPTORS_H

extern const unsigned char ps_proto_descriptors[];
extern const unsigned long ps_proto_descriptors_size;

#endif
