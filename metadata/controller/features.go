package controller

import (
	"fmt"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// UpdateFeatures moves finalized levels; see metadata.Store. One update that is refused
// refuses all.
func (c *Controller) UpdateFeatures(m *metadata.Image, updates []metadata.FeatureUpdate, validateOnly bool) ([]metadata.Record, []metadata.FeatureResult) {
	var records []metadata.Record
	results := make([]metadata.FeatureResult, len(updates))
	refused := false
	for i, u := range updates {
		results[i].Name = u.Name
		if reason := c.refuseFeature(m, u); reason != "" {
			results[i].Err = protocol.Errorf(protocol.ErrInvalidUpdateVersion, "Invalid update version %d for feature %s. %s", u.Level, u.Name, reason)
			refused = true
			continue
		}
		if m.Feature(u.Name) != u.Level {
			records = append(records, &metadata.FeatureRecord{Name: u.Name, Level: u.Level})
		}
	}
	if refused {
		for i := range results {
			if results[i].Err == nil {
				results[i].Err = protocol.Errorf(protocol.ErrInvalidUpdateVersion, "Not updated, because another update of the request was refused.")
			}
		}
		return nil, results
	}
	if validateOnly {
		return nil, results
	}
	return records, results
}

func (c *Controller) refuseFeature(m *metadata.Image, u metadata.FeatureUpdate) string {
	current := m.Feature(u.Name)
	switch {
	case u.Upgrade < metadata.FeatureUpgradeOnly || u.Upgrade > metadata.FeatureUnsafeDowngrade:
		return "The controller does not support the given upgrade type."
	case u.Level < 0:
		return "A feature version cannot be less than 0."
	}
	if reason := notSupported("Local controller", fmt.Sprint(c.opts.LocalBroker), c.opts.Features, u); reason != "" {
		return reason
	}
	for _, b := range m.Brokers() {
		if reason := notSupported("Broker", brokerName(b.ID), b.Features, u); reason != "" {
			return reason
		}
	}
	switch {
	case u.Level < current && u.Upgrade == metadata.FeatureUpgradeOnly:
		return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
	case u.Level > current && u.Upgrade != metadata.FeatureUpgradeOnly:
		return "Can't downgrade to a newer version."
	}
	return ""
}

func notSupported(kind, id string, ranges []metadata.FeatureRange, u metadata.FeatureUpdate) string {
	for _, f := range ranges {
		if f.Name != u.Name {
			continue
		}
		if u.Level == 0 && f.Min <= 1 || f.Min <= u.Level && u.Level <= f.Max {
			return ""
		}
		return fmt.Sprintf("%s %s only supports versions %d-%d", kind, id, f.Min, f.Max)
	}
	if u.Level == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s does not support this feature.", kind, id)
}
