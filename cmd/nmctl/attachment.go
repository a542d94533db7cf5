package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
)

func newAttachmentCommand(c *cli) *cobra.Command {
	return noun("attachment", "Show who holds which rings", newAttachmentListCommand(c))
}

func newAttachmentListCommand(c *cli) *cobra.Command {
	return c.watchable(&cobra.Command{
		Use: "list [PORT]", Short: "List the programs that have ports open", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.call(cmd, func(ctx context.Context, conn grpc.ClientConnInterface, out *printer) error {
				return listAttachments(ctx, pb.NewAttachmentServiceClient(conn), out, strings.Join(args, ""))
			})
		},
		ValidArgsFunction: c.completeArgs(portNames),
	}, "the list")
}

func listAttachments(ctx context.Context, attachments pb.AttachmentServiceClient, out *printer, port string) error {
	all, err := pages(func(token string) ([]*pb.Attachment, string, error) {
		resp, err := attachments.ListAttachments(ctx, &pb.ListAttachmentsRequest{Port: port, PageToken: token, PageSize: 10000})
		return resp.GetAttachments(), resp.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return out.print(attachmentList{views(all, viewAttachment)})
}

// attachmentView is pb.Attachment to be printed.
type attachmentView struct {
	Port     string   `json:"port"`
	RegionID uint32   `json:"region_id"`
	User     userView `json:"user"`
}

func viewAttachment(a *pb.Attachment) attachmentView {
	return attachmentView{Port: a.GetPort(), RegionID: a.GetRegionId(), User: viewUser(a.GetUser())}
}

// attachmentList is the result of attachment list.
type attachmentList struct {
	Attachments []attachmentView `json:"attachments"`
}

func (l attachmentList) table(t *table) {
	t.row("PORT", "REGION", "PID", "UID", "COMMAND", "SINCE", "MODE", "RINGS")
	for _, a := range l.Attachments {
		u := a.User
		t.row(a.Port, a.RegionID, u.PID, u.UID, dash(u.Command), whenText(u.Since), dash(u.Mode), dash(strings.Join(u.Rings, " ")))
	}
}
